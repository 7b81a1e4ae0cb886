package advert

import (
	"encoding/hex"
	"fmt"
)

// ruuviLayout is Ruuvi's data format 5 (docs.ruuvi.com, RAWv2). Accelerations
// are in multiples of g.
var ruuviLayout = []field{
	{name: "temperature", unit: "°C", at: 1, size: 2, kind: signed, big: true, scale: "0.005", none: none(-0x8000)},
	{name: "humidity", unit: "%", at: 3, size: 2, big: true, scale: "0.0025", none: none(0xFFFF)},
	{name: "pressure", unit: "hPa", at: 5, size: 2, big: true, scale: "0.01", bias: 50000, none: none(0xFFFF)},
	{name: "acceleration_x", unit: "g", at: 7, size: 2, kind: signed, big: true, scale: "0.001", none: none(-0x8000)},
	{name: "acceleration_y", unit: "g", at: 9, size: 2, kind: signed, big: true, scale: "0.001", none: none(-0x8000)},
	{name: "acceleration_z", unit: "g", at: 11, size: 2, kind: signed, big: true, scale: "0.001", none: none(-0x8000)},
	{name: "movement_counter", at: 15, size: 1, none: none(0xFF)},
}

const ruuviLength = 24

// ruuvi decodes Ruuvi's data format 5.
func ruuvi(d Data, _ []byte) (Frame, bool) {
	data := d.Manufacturer[0x0499]
	if len(data) == 0 || data[0] != 5 {
		return Frame{}, false
	}
	f := Frame{Raw: data}
	if len(data) != ruuviLength {
		f.Err = ErrMalformed
		return f, true
	}
	f.Values = read(ruuviLayout, data)
	// 11 bits of voltage above 1.6 V, 5 bits of transmission power.
	power := int64(whole(data[13:15], true))
	if v := power >> 5; v != 0x7FF {
		volts := field{scale: "0.001"}.point().ScaleInt(v + 1600)
		f.Values = append(f.Values, Value{Name: "voltage", Value: volts, Unit: "V"})
	}
	if v := power & 0x1F; v != 0x1F {
		f.Values = append(f.Values, Value{Name: "tx_power", Value: number(int(2*v - 40)), Unit: "dBm", Quiet: true})
	}
	if sequence := data[16:18]; whole(sequence, true) != 0xFFFF {
		f.Packet = hex.EncodeToString(sequence)
	}
	return f, true
}

// ibeacon decodes Apple's iBeacon.
func ibeacon(d Data, _ []byte) (Frame, bool) {
	data := d.Manufacturer[0x004C]
	if len(data) != 23 || data[0] != 0x02 || data[1] != 0x15 {
		return Frame{}, false
	}
	id := hex.EncodeToString(data[2:18])
	f := Frame{Raw: data, Values: []Value{{
		Name:  "uuid",
		Value: fmt.Sprintf("%s-%s-%s-%s-%s", id[:8], id[8:12], id[12:16], id[16:20], id[20:]),
	}}}
	f.Values = append(f.Values, read([]field{
		{name: "major", at: 18, size: 2, big: true},
		{name: "minor", at: 20, size: 2, big: true},
		{name: "tx_power", unit: "dBm", at: 22, size: 1, kind: signed, quiet: true},
	}, data)...)
	return f, true
}

var (
	eddystoneUID = []field{
		{name: "namespace", at: 2, size: 10, kind: digits},
		{name: "instance", at: 12, size: 6, kind: digits},
		{name: "tx_power", unit: "dBm", at: 1, size: 1, kind: signed, quiet: true},
	}
	eddystoneTLM = []field{
		{name: "voltage", unit: "V", at: 2, size: 2, big: true, scale: "0.001", none: none(0)},
		{name: "temperature", unit: "°C", at: 4, size: 2, kind: signed, big: true, scale: "0.00390625", none: none(-0x8000)},
		{name: "advertisements", at: 6, size: 4, big: true, quiet: true},
		{name: "uptime", unit: "s", at: 10, size: 4, big: true, scale: "0.1", quiet: true},
	}
)

// eddystone decodes Google's Eddystone: UID and TLM.
func eddystone(d Data, _ []byte) (Frame, bool) {
	data := d.Services[UUID16(0xFEAA)]
	if len(data) == 0 {
		return Frame{}, false
	}
	f := Frame{Raw: data}
	switch {
	case data[0] == 0x00 && len(data) >= 18:
		f.Values = read(eddystoneUID, data)
	case data[0] == 0x20 && len(data) >= 14 && data[1] == 0:
		f.Values = read(eddystoneTLM, data)
		f.Packet = hex.EncodeToString(data[6:10])
	case data[0] == 0x20 && len(data) >= 2 && data[1] == 1:
		f.Err = ErrNoKey // an encrypted TLM is for those who registered the beacon
	case data[0] == 0x00 || data[0] == 0x20:
		f.Err = ErrMalformed
	default:
		return f, false // a URL, an EID
	}
	return f, true
}
