package modbus

import (
	"encoding/binary"
	"math/bits"

	"edgeshadow/adapters"
	wire "edgeshadow/adapters/binary"
)

// codec turns what a device holds into values and back.
type codec struct {
	wire.Codec
	point adapters.Point
	count int  // words
	flag  bool // true or false, as the whole of one word: each of a table of bits
	text  bool // its low bytes come first, where the order says so
}

// newCodec is the codec of a point that is right. Bytes of registers lie in the
// order of their addresses, the high one first; a value of one byte is the low one.
func newCodec(p adapters.Point, f wire.Format, count int) codec {
	c := codec{point: p, count: count, flag: f.Kind == wire.Boolean && p.Bit == nil}
	place := wire.Place{Type: p.Type, Order: p.Order, Length: p.Length, Bit: p.Bit}
	swapped := p.Order == "BADC" || p.Order == "DCBA"
	switch {
	case c.flag:
		place = wire.Place{Type: "bool"}
	case f.Kind == wire.Text:
		c.text = swapped
	case f.Size == 1 && p.Bit != nil: // of all 16
		place.Type = "uint16"
	case f.Size == 1 && !swapped:
		place.At = 1
	}
	c.Codec = place.Codec("ABCD")
	return c
}

// decode is the value that words hold. A float that is no number, and text that
// is none, have no value and quality bad.
func (c codec) decode(words []uint16) (any, adapters.Quality) {
	if c.flag {
		return words[0] != 0, adapters.Good
	}
	var data [8]byte
	raw := data[:0]
	for _, w := range words {
		if c.text {
			w = bits.ReverseBytes16(w)
		}
		raw = binary.BigEndian.AppendUint16(raw, w)
	}
	return c.Decode(c.point, raw)
}

// encode is what the device is to hold for value, the inverse of decode. The
// error says why value can't be held.
func (c codec) encode(value any) ([]uint16, error) {
	raw, err := c.Encode(c.point, value)
	if err != nil {
		return nil, err
	}
	if c.flag {
		return []uint16{uint16(raw[0])}, nil
	}
	if len(raw)%2 != 0 {
		raw = append(raw, 0)
	}
	words := make([]uint16, c.count)
	for i := range words {
		words[i] = binary.BigEndian.Uint16(raw[2*i:])
		if c.text {
			words[i] = bits.ReverseBytes16(words[i])
		}
	}
	return words, nil
}
