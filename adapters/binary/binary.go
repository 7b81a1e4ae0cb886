// Package binary reads and writes values that lie in bytes: in a frame of a
// serial line, in an advertisement, in a characteristic. A Codec knows the type
// and the order of the bytes; the scale is the point's.
//
// Orders are those of registers (ABCD, CDAB, BADC, DCBA; A is the most
// significant byte): CDAB exchanges words of two bytes, BADC the bytes in them,
// DCBA is the least significant byte first. One byte has no order, and three
// have ABCD and DCBA.
package binary

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/big"
	"slices"
	"strings"
	"unicode/utf8"

	"edgeshadow/adapters"
)

// MaxLength is the longest text, in bytes.
const MaxLength = 255

// Kind is what bytes are read as.
type Kind uint8

const (
	Boolean Kind = iota
	Signed
	Unsigned
	Float
	Text
)

// Format is how a value lies in bytes.
type Format struct {
	Kind Kind
	Size int // bytes; 0 for text
}

// Whole says that values are whole numbers.
func (f Format) Whole() bool { return f.Kind == Signed || f.Kind == Unsigned }

// Formats are the types of the configuration.
var Formats = map[string]Format{
	"bool": {Boolean, 1},
	"int8": {Signed, 1}, "int16": {Signed, 2}, "int24": {Signed, 3}, "int32": {Signed, 4}, "int64": {Signed, 8},
	"uint8": {Unsigned, 1}, "uint16": {Unsigned, 2}, "uint24": {Unsigned, 3}, "uint32": {Unsigned, 4}, "uint64": {Unsigned, 8},
	"float32": {Float, 4}, "float64": {Float, 8},
	"string": {Kind: Text},
}

// Place is where a value lies, as the configuration has it.
type Place struct {
	At     int    `yaml:"at"`     // the first byte, from 0
	Type   string `yaml:"type"`   // empty: uint8
	Order  string `yaml:"order"`  // empty: as who reads it says
	Length int    `yaml:"length"` // of a string, in bytes
	Bit    *int   `yaml:"bit"`    // of a whole number, 0 the lowest: then the value is true or false
}

// Codec reads and writes one value.
type Codec struct {
	Format
	at                   int
	bit                  int // -1: none
	swapWords, swapBytes bool
}

// Validate says what is wrong with p, by key.
func (p Place) Validate(fault func(key, text string)) {
	f, known := Formats[p.kind()]
	if !known {
		fault("type", fmt.Sprintf("no type %q; there are %s", p.Type, strings.Join(slices.Sorted(maps.Keys(Formats)), " ")))
		return
	}
	if p.At < 0 || p.At > math.MaxUint16 {
		fault("at", fmt.Sprintf("%d is no place of a byte: 0 to %d", p.At, math.MaxUint16))
	}
	if !slices.Contains([]string{"", "ABCD", "CDAB", "BADC", "DCBA"}, p.Order) {
		fault("order", fmt.Sprintf("%q is no order; write ABCD, CDAB, BADC or DCBA", p.Order))
	} else if f.Size == 3 && (p.Order == "CDAB" || p.Order == "BADC") {
		fault("order", "three bytes have no words; write ABCD or DCBA")
	}
	switch {
	case f.Kind == Text && (p.Length < 1 || p.Length > MaxLength):
		fault("length", fmt.Sprintf("a string wants length: 1 to %d bytes", MaxLength))
	case f.Kind != Text && p.Length != 0:
		fault("length", "is for a string; the length of "+p.kind()+" is known")
	}
	if p.Bit != nil && (!f.Whole() || *p.Bit < 0 || *p.Bit >= 8*f.Size) {
		fault("bit", fmt.Sprintf("%d is no bit of %s", *p.Bit, p.kind()))
	}
}

func (p Place) kind() string {
	if p.Type == "" {
		return "uint8"
	}
	return p.Type
}

// Codec is the codec of a valid place; order is what an empty one means.
func (p Place) Codec(order string) Codec {
	if p.Order != "" {
		order = p.Order
	}
	c := Codec{Format: Formats[p.kind()], at: p.At, bit: -1, swapWords: order == "CDAB" || order == "DCBA", swapBytes: order == "BADC" || order == "DCBA"}
	if c.Kind == Text {
		c.Size = p.Length
	}
	if p.Bit != nil {
		c.bit = *p.Bit
	}
	return c
}

// End is the first byte behind the value.
func (c Codec) End() int { return c.at + c.Size }

// Writable says whether Encode is all that lies at the place: one bit is not.
func (c Codec) Writable() bool { return c.bit < 0 }

// Decode is the value that data holds. It has quality bad when data ends before
// it, when a float is no number, and when text is none.
func (c Codec) Decode(p adapters.Point, data []byte) (any, adapters.Quality) {
	if c.End() > len(data) {
		return nil, adapters.Bad
	}
	raw := data[c.at:c.End()]
	if c.Kind == Text {
		s, _, _ := strings.Cut(string(raw), "\x00")
		if !utf8.ValidString(s) {
			return nil, adapters.Bad
		}
		return strings.TrimRight(s, " "), adapters.Good
	}
	var wide [8]byte
	c.arrange(wide[8-c.Size:], raw)
	n, shift := binary.BigEndian.Uint64(wide[:]), 64-8*c.Size
	switch {
	case c.bit >= 0:
		return n>>c.bit&1 != 0, adapters.Good
	case c.Kind == Boolean:
		return n != 0, adapters.Good
	case c.Kind == Signed:
		return p.Named(p.ScaleInt(int64(n) << shift >> shift)), adapters.Good
	case c.Kind == Unsigned:
		return p.Named(p.ScaleUint(n)), adapters.Good
	}
	f := math.Float64frombits(n)
	if c.Size == 4 {
		f = float64(math.Float32frombits(uint32(n)))
	}
	if v, ok := p.ScaleFloat(f, 8*c.Size); ok {
		return v, adapters.Good
	}
	return nil, adapters.Bad
}

// Uint is the whole number without a sign that data holds, whatever the type; ok
// is false when data ends before it.
func (c Codec) Uint(data []byte) (n uint64, ok bool) {
	if c.End() > len(data) || c.Kind == Text {
		return 0, false
	}
	var wide [8]byte
	c.arrange(wide[8-c.Size:], data[c.at:c.End()])
	return binary.BigEndian.Uint64(wide[:]), true
}

// arrange copies a number, the most significant byte first, from the order of
// the place or to it: the same both ways.
func (c Codec) arrange(to, from []byte) {
	copy(to, from)
	switch {
	case c.swapBytes && c.swapWords:
		slices.Reverse(to)
	case c.swapWords:
		for i, j := 0, len(to)-2; i < j; i, j = i+2, j-2 {
			to[i], to[i+1], to[j], to[j+1] = to[j], to[j+1], to[i], to[i+1]
		}
	case c.swapBytes:
		for i := 0; i+1 < len(to); i += 2 {
			to[i], to[i+1] = to[i+1], to[i]
		}
	}
}

// Encode is what the place holds for value: the inverse of Decode. The error
// says why it can't be held.
func (c Codec) Encode(p adapters.Point, value any) ([]byte, error) {
	switch {
	case c.bit >= 0:
		return nil, errors.New("one bit of a byte can't be written alone")
	case c.Kind == Boolean:
		on, ok := value.(bool)
		if !ok {
			return nil, fmt.Errorf("want true or false, have %s", adapters.Describe(value))
		}
		if on {
			return []byte{1}, nil
		}
		return []byte{0}, nil
	case c.Kind == Text:
		s, ok := value.(string)
		if !ok {
			return nil, fmt.Errorf("want text, have %s", adapters.Describe(value))
		}
		if len(s) > c.Size {
			return nil, fmt.Errorf("%d bytes of text; there is room for %d", len(s), c.Size)
		}
		return append([]byte(s), make([]byte, c.Size-len(s))...), nil
	}
	n, err := c.number(p, value)
	if err != nil {
		return nil, err
	}
	var wide [8]byte
	binary.BigEndian.PutUint64(wide[:], n)
	out := make([]byte, c.Size)
	c.arrange(out, wide[8-c.Size:])
	return out, nil
}

// number is value as the low bytes of 64 bits.
func (c Codec) number(p adapters.Point, value any) (uint64, error) {
	value, err := p.Unnamed(value)
	if err != nil {
		return 0, err
	}
	if c.Kind == Float {
		f, err := p.UnscaleFloat(value, 8*c.Size)
		switch {
		case err != nil:
			return 0, err
		case math.IsInf(f, 0):
			return 0, fmt.Errorf("%v is out of range of a float%d", value, 8*c.Size)
		case c.Size == 4:
			return uint64(math.Float32bits(float32(f))), nil
		}
		return math.Float64bits(f), nil
	}
	n, err := p.UnscaleInt(value)
	if err != nil {
		return 0, err
	}
	least, most := new(big.Int), new(big.Int).SetUint64(math.MaxUint64>>(64-8*c.Size))
	if c.Kind == Signed {
		limit := int64(math.MaxInt64) >> (64 - 8*c.Size)
		least.SetInt64(-limit - 1)
		most.SetInt64(limit)
	}
	if n.Cmp(least) < 0 || n.Cmp(most) > 0 {
		return 0, fmt.Errorf("out of range: %s to %s", scaled(p, least), scaled(p, most))
	}
	if n.IsInt64() {
		return uint64(n.Int64()), nil
	}
	return n.Uint64(), nil
}

func scaled(p adapters.Point, n *big.Int) any {
	if n.IsInt64() {
		return p.ScaleInt(n.Int64())
	}
	return p.ScaleUint(n.Uint64())
}
