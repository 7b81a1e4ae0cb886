package serial

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"slices"

	wire "edgeshadow/adapters/binary"
)

// checks are the sums, by the type of a Check, and their width in bytes.
var checks = map[string]struct {
	width int
	order string // of two bytes, when the configuration does not say
	sum   func(data []byte) uint16
}{
	"xor":          {1, "", xor},
	"sum8":         {1, "", sum8},
	"crc8":         {1, "", crc8},
	"crc16-modbus": {2, "BA", wire.CRC16Modbus},
	"crc16-ccitt":  {2, "AB", crc16CCITT},
	"nmea":         {1, "", xor},
}

// checkNames are the types of a check, in the order of the documentation.
var checkNames = []string{"none", "xor", "sum8", "crc8", "crc16-modbus", "crc16-ccitt", "nmea"}

func xor(data []byte) (s uint16) {
	for _, b := range data {
		s ^= uint16(b)
	}
	return s
}

func sum8(data []byte) (s uint16) {
	for _, b := range data {
		s += uint16(b)
	}
	return s & 0xFF
}

func crc8(data []byte) uint16 {
	var s byte
	for _, b := range data {
		s ^= b
		for range 8 {
			if s&0x80 != 0 {
				s = s<<1 ^ 0x07
			} else {
				s <<= 1
			}
		}
	}
	return uint16(s)
}

func crc16CCITT(data []byte) uint16 {
	s := uint16(0xFFFF)
	for _, b := range data {
		s ^= uint16(b) << 8
		for range 8 {
			if s&0x8000 != 0 {
				s = s<<1 ^ 0x1021
			} else {
				s <<= 1
			}
		}
	}
	return s
}

// size is how many bytes the check takes on the line; 0: there is none.
func (c Check) size() int {
	n := checks[c.Type].width
	if c.Hex || c.Type == "nmea" {
		n *= 2
	}
	return n
}

// of is the check of data as it goes over the line.
func (c Check) of(data []byte) []byte {
	kind, known := checks[c.Type]
	if !known {
		return nil
	}
	out := binary.BigEndian.AppendUint16(nil, kind.sum(data[min(c.From, len(data)):]))[2-kind.width:]
	order := c.Order
	if order == "" {
		order = kind.order
	}
	if order == "BA" {
		slices.Reverse(out)
	}
	if c.Hex || c.Type == "nmea" {
		return bytes.ToUpper(hex.AppendEncode(nil, out))
	}
	return out
}

// holds says whether data is whole, and what of it is left without the check.
// end is the marker that a check which stands behind it covers.
func (c Check) holds(data, end []byte) (content []byte, ok bool) {
	n := c.size()
	if n == 0 {
		return data, true
	}
	if len(data) < n {
		return nil, false
	}
	body, sum := data[:len(data)-n], data[len(data)-n:]
	covered := body
	switch {
	case c.Type == "nmea":
		if body, ok = bytes.CutSuffix(body, []byte("*")); !ok {
			return nil, false
		}
		covered = bytes.TrimLeft(body, "$!")
	case c.Behind:
		covered = slices.Concat(body, end)
	}
	if !bytes.EqualFold(c.of(covered), sum) || !(c.Hex || c.Type == "nmea") && !bytes.Equal(c.of(covered), sum) {
		return nil, false
	}
	return body, true
}
