package binary_test

import (
	"encoding/hex"
	"encoding/json"
	"testing"

	"edgeshadow/adapters"
	"edgeshadow/adapters/binary"
)

func codec(tb testing.TB, p binary.Place, order string) binary.Codec {
	tb.Helper()
	p.Validate(func(key, text string) { tb.Fatalf("%+v: %s: %s", p, key, text) })
	return p.Codec(order)
}

func scale(tb testing.TB, text string) adapters.Point {
	tb.Helper()
	d, err := adapters.ParseDecimal(text)
	if err != nil {
		tb.Fatal(err)
	}
	return adapters.Point{Scale: &d}
}

func TestCodec(t *testing.T) {
	two := 2
	for _, c := range []struct {
		place binary.Place
		scale string
		hex   string
		want  any // nil: bad
	}{
		{binary.Place{}, "1", "ff", json.Number("255")},
		{binary.Place{Type: "int8"}, "1", "ff", json.Number("-1")},
		{binary.Place{Type: "int16"}, "0.1", "ff38", json.Number("-20")},
		{binary.Place{Type: "int16", Order: "DCBA"}, "0.1", "38ff", json.Number("-20")},
		{binary.Place{Type: "uint16", Order: "BADC"}, "1", "0100", json.Number("1")},
		{binary.Place{Type: "uint16", Order: "CDAB"}, "1", "0001", json.Number("1")},
		{binary.Place{Type: "int24"}, "1", "ffffff", json.Number("-1")},
		{binary.Place{Type: "uint24", Order: "DCBA"}, "0.01", "138a01", json.Number("1008.83")},
		{binary.Place{Type: "uint32"}, "1", "01020304", json.Number("16909060")},
		{binary.Place{Type: "uint32", Order: "CDAB"}, "1", "03040102", json.Number("16909060")},
		{binary.Place{Type: "uint32", Order: "BADC"}, "1", "02010403", json.Number("16909060")},
		{binary.Place{Type: "uint32", Order: "DCBA"}, "1", "04030201", json.Number("16909060")},
		{binary.Place{Type: "uint64", Order: "CDAB"}, "1", "0708050603040102", json.Number("72623859790382856")},
		{binary.Place{Type: "uint64"}, "1", "ffffffffffffffff", json.Number("18446744073709551615")},
		{binary.Place{Type: "float32"}, "1", "41ac0000", json.Number("21.5")},
		{binary.Place{Type: "float64", Order: "DCBA"}, "1", "0000000000803540", json.Number("21.5")},
		{binary.Place{Type: "float32"}, "1", "7fc00000", nil},
		{binary.Place{Type: "bool"}, "1", "01", true},
		{binary.Place{Type: "string", Length: 4}, "1", "6f6b0000", "ok"},
		{binary.Place{Type: "string", Length: 2}, "1", "fffe", nil},
		{binary.Place{Bit: &two}, "1", "04", true},
		{binary.Place{Bit: &two}, "1", "fb", false},
	} {
		data, err := hex.DecodeString(c.hex)
		if err != nil {
			t.Fatal(err)
		}
		k, p := codec(t, c.place, "ABCD"), scale(t, c.scale)
		got, quality := k.Decode(p, data)
		if got != c.want || (c.want == nil) != (quality == adapters.Bad) {
			t.Errorf("%+v of %s = %v (%s), want %v", c.place, c.hex, got, quality, c.want)
		}
		if c.want == nil || !k.Writable() {
			continue
		}
		if back, err := k.Encode(p, c.want); err != nil || hex.EncodeToString(back) != c.hex {
			t.Errorf("%+v: %v encodes to %x, %v; want %s", c.place, c.want, back, err, c.hex)
		}
	}
	if v, quality := codec(t, binary.Place{At: 2, Type: "uint16"}, "").Decode(adapters.Point{}, []byte{1, 2, 3}); quality != adapters.Bad {
		t.Errorf("past the end: %v, %s", v, quality)
	}
}

func TestCodec_OutOfRange(t *testing.T) {
	for _, c := range []struct {
		kind  string
		value any
		want  string
	}{
		{"int8", json.Number("12.8"), "out of range: -12.8 to 12.7"},
		{"uint16", json.Number("-0.1"), "out of range: 0 to 6553.5"},
		{"uint64", json.Number("1e30"), "out of range: 0 to 1844674407370955161.5"},
		{"float32", json.Number("1e39"), "1e39 is out of range of a float32"},
		{"bool", json.Number("1"), "want true or false, have 1"},
		{"int16", "x", `want a number, have "x"`},
	} {
		_, err := codec(t, binary.Place{Type: c.kind}, "").Encode(scale(t, "0.1"), c.value)
		if err == nil || err.Error() != c.want {
			t.Errorf("%v as %s: %v, want %s", c.value, c.kind, err, c.want)
		}
	}
}

func TestPlace_Validate(t *testing.T) {
	minus, eight := -1, 8
	for _, c := range []struct {
		place binary.Place
		keys  string
	}{
		{binary.Place{Type: "int17"}, "type "}, {binary.Place{At: -1}, "at "}, {binary.Place{Order: "BA"}, "order "},
		{binary.Place{Type: "uint24", Order: "CDAB"}, "order "}, {binary.Place{Type: "string"}, "length "},
		{binary.Place{Type: "string", Length: 256}, "length "}, {binary.Place{Length: 1}, "length "},
		{binary.Place{Bit: &minus}, "bit "}, {binary.Place{Bit: &eight}, "bit "}, {binary.Place{Type: "float32", Bit: new(int)}, "bit "},
	} {
		keys := ""
		c.place.Validate(func(key, _ string) { keys += key + " " })
		if keys != c.keys {
			t.Errorf("%+v: faults of %q, want %q", c.place, keys, c.keys)
		}
	}
}
