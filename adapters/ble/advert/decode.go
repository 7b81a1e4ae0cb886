package advert

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Auto and None stand where a format can be named: all formats, and none.
const (
	Auto = "auto"
	None = "none"
)

// decoders are all formats, by name. A decoder says of data that is not in its
// format that it is not its own.
var decoders = map[string]func(Data, []byte) (f Frame, own bool){
	"bthome":    bthome,
	"atc":       atc,
	"pvvx":      pvvx,
	"mibeacon":  mibeacon,
	"ruuvi":     ruuvi,
	"ibeacon":   ibeacon,
	"eddystone": eddystone,
}

// Formats are the names of all formats, in order.
func Formats() []string { return slices.Sorted(maps.Keys(decoders)) }

// Decode is what data says in a format, or in all (Auto), in the order of their
// names. Key is the device's bindkey of 16 bytes; nil: none is known.
func Decode(data Data, format string, key []byte) []Frame {
	var frames []Frame
	for _, name := range Formats() {
		if format != Auto && format != name {
			continue
		}
		if f, own := decoders[name](data, key); own {
			f.Format = name
			f.Values = numbered(f.Values)
			frames = append(frames, f)
		}
	}
	return frames
}

// Passive are the beginnings of advertising data by which a radio that only
// listens tells what the decoders read: the type of a field (16 service data,
// ff manufacturer data) and its first bytes.
func Passive() []Pattern {
	patterns := []Pattern{
		{ServiceData, []byte{0xD2, 0xFC}}, {ServiceData, []byte{0x1A, 0x18}}, {ServiceData, []byte{0x95, 0xFE}}, {ServiceData, []byte{0xAA, 0xFE}},
		{ManufacturerData, []byte{0x99, 0x04}}, {ManufacturerData, []byte{0x4C, 0x00, 0x02, 0x15}},
	}
	return patterns
}

// The types of advertising data that matter here (Bluetooth Assigned Numbers, 2.3).
const (
	ServiceData      = 0x16
	ManufacturerData = 0xFF
)

// Pattern is how a field of advertising data begins.
type Pattern struct {
	Type  byte
	Start []byte
}

// bindkey says whether a frame that is sealed, or is not, can be read with key.
func bindkey(sealed bool, key []byte) error {
	switch {
	case sealed && key == nil:
		return ErrNoKey
	case !sealed && key != nil:
		return ErrPlain
	}
	return nil
}

// Describe names values for people: temperature 21.5 °C, battery 90 %.
func Describe(values []Value) string {
	parts := make([]string, 0, len(values))
	for _, v := range values {
		part := strings.TrimSpace(v.Name + " " + fmt.Sprint(v.Value) + " " + v.Unit)
		parts = append(parts, part)
	}
	return strings.Join(parts, ", ")
}
