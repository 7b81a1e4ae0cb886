package advert

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"edgeshadow/adapters"
)

// kind is how a field's bytes become a value.
type kind int

const (
	unsigned kind = iota
	signed
	flag    // 0 is false, all else true
	unless1 // 1 is false: closed
	float   // of 32 bits
	digits  // in hexadecimal
	version // 1.2.3, the last byte first
)

// field is one value in a frame, a row of the tables.
type field struct {
	name  string
	unit  string
	at    int // of the first byte, where the layout is fixed
	size  int // bytes
	kind  kind
	big   bool   // the most significant byte is first
	scale string // of one step, 1 when empty
	bias  int64  // is added before the scale
	// none is the raw number that says "no value".
	none  *int64
	quiet bool
}

func none(v int64) *int64 { return &v }

// value is what the field says of its bytes; ok is false when they hold none.
func (f field) value(b []byte) (v Value, ok bool) {
	v = Value{Name: f.name, Unit: f.unit, Quiet: f.quiet}
	raw := whole(b, f.big)
	switch f.kind {
	case flag:
		v.Value = raw != 0
	case unless1:
		v.Value = raw != 1
	case digits:
		v.Value = hex.EncodeToString(b)
	case version:
		parts := make([]string, len(b))
		for i, n := range b {
			parts[len(b)-1-i] = strconv.Itoa(int(n))
		}
		v.Value = strings.Join(parts, ".")
	case float:
		v.Value, ok = f.point().ScaleFloat(float64(math.Float32frombits(uint32(raw))), 32)
		return v, ok
	default:
		n := int64(raw)
		if f.kind == signed {
			shift := 64 - 8*len(b)
			n = n << shift >> shift
		}
		if f.none != nil && n == *f.none {
			return v, false
		}
		v.Value = f.point().ScaleInt(n + f.bias)
	}
	return v, true
}

// point is a point with the field's scale.
func (f field) point() adapters.Point {
	if f.scale == "" {
		return adapters.Point{}
	}
	d, err := adapters.ParseDecimal(f.scale)
	if err != nil {
		panic("advert: scale of " + f.name + ": " + err.Error()) // a row of a table
	}
	return adapters.Point{Scale: &d}
}

// read is the values of a fixed layout. Fields beyond the end are left out.
func read(layout []field, data []byte) []Value {
	var values []Value
	for _, f := range layout {
		if f.at+f.size > len(data) {
			continue
		}
		if v, ok := f.value(data[f.at : f.at+f.size]); ok {
			values = append(values, v)
		}
	}
	return values
}

// whole is a number of up to 8 bytes.
func whole(b []byte, big bool) uint64 {
	var raw [8]byte
	if len(b) > len(raw) {
		return 0
	}
	copy(raw[8-len(b):], b)
	if !big {
		slices.Reverse(raw[8-len(b):])
	}
	return binary.BigEndian.Uint64(raw[:])
}

// number is a small whole number.
func number(n int) json.Number { return json.Number(strconv.Itoa(n)) }

// numbered gives the second and later values of one name a number.
func numbered(values []Value) []Value {
	seen := map[string]int{}
	for i := range values {
		name := values[i].Name
		if seen[name]++; seen[name] > 1 {
			values[i].Name = name + "_" + strconv.Itoa(seen[name])
		}
	}
	return values
}

// text is a device's text as a shadow can hold it.
func text(b []byte) string {
	if utf8.Valid(b) {
		return string(b)
	}
	return hex.EncodeToString(b)
}
