package modbus

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/big"
	"slices"
	"strings"
	"unicode/utf8"

	"edgeshadow/adapters"
)

// kind is how a value lies in its registers.
type kind uint8

const (
	boolean kind = iota
	signed
	unsigned
	float
	text
)

// format is a type of the configuration.
type format struct {
	kind kind
	bits int // 0 for bool and string
}

var formats = map[string]format{
	"bool": {boolean, 0},
	"int8": {signed, 8}, "int16": {signed, 16}, "int32": {signed, 32}, "int64": {signed, 64},
	"uint8": {unsigned, 8}, "uint16": {unsigned, 16}, "uint32": {unsigned, 32}, "uint64": {unsigned, 64},
	"float32": {float, 32}, "float64": {float, 64},
	"string": {text, 0},
}

// order is how bytes lie in registers; see the package comment.
type order struct{ swapWords, swapBytes bool }

var orders = map[string]order{
	"": {}, "ABCD": {}, "CDAB": {swapWords: true}, "BADC": {swapBytes: true}, "DCBA": {true, true},
}

// codec turns what a device holds into values and back. In a table of bits a
// word is one bit.
type codec struct {
	format
	order
	bit   int  // of a register, for a bool; -1: the whole
	isBit bool // the table holds bits
	count int  // words
	chars int  // of a string
	point adapters.Point
}

// decode is the value that words hold. A float that is no number, and text that
// is none, have no value and quality bad.
func (c codec) decode(words []uint16) (any, adapters.Quality) {
	if c.isBit {
		return words[0] != 0, adapters.Good
	}
	var data [8]byte
	raw := c.bytes(data[:0], words)
	switch c.kind {
	case boolean:
		n := number(raw)
		if c.bit >= 0 {
			n &= 1 << c.bit
		}
		return n != 0, adapters.Good
	case signed:
		n := number(raw) << (64 - c.bits)
		return c.point.Named(c.point.ScaleInt(int64(n) >> (64 - c.bits))), adapters.Good
	case unsigned:
		return c.point.Named(c.point.ScaleUint(number(raw) & (math.MaxUint64 >> (64 - c.bits)))), adapters.Good
	case float:
		f := math.Float64frombits(number(raw))
		if c.bits == 32 {
			f = float64(math.Float32frombits(uint32(number(raw))))
		}
		if v, ok := c.point.ScaleFloat(f, c.bits); ok {
			return v, adapters.Good
		}
		return nil, adapters.Bad
	}
	s, _, _ := strings.Cut(string(raw[:c.chars]), "\x00")
	if !utf8.ValidString(s) {
		return nil, adapters.Bad
	}
	return strings.TrimRight(s, " "), adapters.Good
}

// encode is what the device is to hold for value, the inverse of decode. The
// error says why value can't be held.
func (c codec) encode(value any) ([]uint16, error) {
	if c.kind == boolean {
		on, ok := value.(bool)
		if !ok {
			return nil, fmt.Errorf("want true or false, have %s", adapters.Describe(value))
		}
		if on {
			return []uint16{1}, nil
		}
		return []uint16{0}, nil
	}
	var raw []byte
	switch c.kind {
	case signed, unsigned:
		held, err := c.point.Unnamed(value)
		if err != nil {
			return nil, err
		}
		n, err := c.point.UnscaleInt(held)
		if err != nil {
			return nil, err
		}
		if raw, err = c.integer(n); err != nil {
			return nil, err
		}
	case float:
		f, err := c.point.UnscaleFloat(value, c.bits)
		if err != nil {
			return nil, err
		}
		if math.IsInf(f, 0) {
			return nil, fmt.Errorf("%v is out of range of a float%d", value, c.bits)
		}
		raw = binary.BigEndian.AppendUint64(nil, math.Float64bits(f))
		if c.bits == 32 {
			raw = binary.BigEndian.AppendUint32(nil, math.Float32bits(float32(f)))
		}
	case text:
		s, ok := value.(string)
		if !ok {
			return nil, fmt.Errorf("want text, have %s", adapters.Describe(value))
		}
		if len(s) > c.chars {
			return nil, fmt.Errorf("%d bytes of text; there is room for %d", len(s), c.chars)
		}
		raw = make([]byte, 2*c.count)
		copy(raw, s)
	}
	return c.words(raw), nil
}

// integer is n in two's complement, high byte first.
func (c codec) integer(n *big.Int) ([]byte, error) {
	var v uint64
	ok, least, most := false, c.point.ScaleInt(0), c.point.ScaleUint(math.MaxUint64>>(64-c.bits))
	if c.kind == signed {
		limit := int64(math.MaxInt64) >> (64 - c.bits)
		least, most = c.point.ScaleInt(-limit-1), c.point.ScaleInt(limit)
		v, ok = uint64(n.Int64()), n.IsInt64() && n.Int64() >= -limit-1 && n.Int64() <= limit
	} else {
		v, ok = n.Uint64(), n.IsUint64() && n.Uint64() <= math.MaxUint64>>(64-c.bits)
	}
	if !ok {
		return nil, fmt.Errorf("out of range: %s to %s", least, most)
	}
	raw := binary.BigEndian.AppendUint64(nil, v)
	return raw[8-2*c.count:], nil
}

// bytes appends the value's bytes, the most significant first.
func (c codec) bytes(to []byte, words []uint16) []byte {
	for i := range words {
		w := words[i]
		if c.swapWords {
			w = words[len(words)-1-i]
		}
		if c.swapBytes {
			w = w<<8 | w>>8
		}
		to = binary.BigEndian.AppendUint16(to, w)
	}
	return to
}

// words is the inverse of bytes.
func (c codec) words(raw []byte) []uint16 {
	words := make([]uint16, len(raw)/2)
	for i := range words {
		w := binary.BigEndian.Uint16(raw[2*i:])
		if c.swapBytes {
			w = w<<8 | w>>8
		}
		words[i] = w
	}
	if c.swapWords {
		slices.Reverse(words)
	}
	return words
}

// number is up to 8 bytes as an integer, the most significant first.
func number(raw []byte) uint64 {
	var n uint64
	for _, b := range raw {
		n = n<<8 | uint64(b)
	}
	return n
}
