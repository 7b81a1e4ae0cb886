package modbus_test

import (
	"fmt"
	"slices"
	"testing"

	"edgeshadow/adapters"
	"edgeshadow/adapters/modbus"
)

func bit(n int) *int { return &n }

// TestL6_OrdersAndAddresses: one spelling for every way in which devices lay
// out their values, and both ways of counting addresses.
func TestL6_OrdersAndAddresses(t *testing.T) {
	for _, c := range []struct {
		point adapters.Point
		words []uint16
		want  any
	}{
		{adapters.Point{Type: "int16"}, []uint16{0xFFFE}, num("-2")},
		{adapters.Point{Type: "uint16"}, []uint16{0xFFFE}, num("65534")},
		{adapters.Point{Type: "uint16", Order: "BADC"}, []uint16{0x0100}, num("1")},
		{adapters.Point{Type: "int8"}, []uint16{0x12FF}, num("-1")},
		{adapters.Point{Type: "uint8"}, []uint16{0x12FF}, num("255")},
		{adapters.Point{Type: "int8", Order: "BADC"}, []uint16{0xFE01}, num("-2")},
		{adapters.Point{Type: "int32"}, []uint16{0xFFFF, 0xFFFE}, num("-2")},
		{adapters.Point{Type: "uint32"}, []uint16{0x0001, 0x0002}, num("65538")},
		{adapters.Point{Type: "uint32", Order: "CDAB"}, []uint16{0x0002, 0x0001}, num("65538")},
		{adapters.Point{Type: "uint32", Order: "BADC"}, []uint16{0x0100, 0x0200}, num("65538")},
		{adapters.Point{Type: "uint32", Order: "DCBA"}, []uint16{0x0200, 0x0100}, num("65538")},
		{adapters.Point{Type: "float32"}, []uint16{0x42F6, 0xE979}, num("123.456")},
		{adapters.Point{Type: "float32", Order: "CDAB"}, []uint16{0xE979, 0x42F6}, num("123.456")},
		{adapters.Point{Type: "float32", Order: "BADC"}, []uint16{0xF642, 0x79E9}, num("123.456")},
		{adapters.Point{Type: "float32", Order: "DCBA"}, []uint16{0x79E9, 0xF642}, num("123.456")},
		{adapters.Point{Type: "uint64"}, []uint16{0xFFFF, 0xFFFF, 0xFFFF, 0xFFFF}, num("18446744073709551615")},
		{adapters.Point{Type: "int64", Order: "CDAB"}, []uint16{0xFFFE, 0xFFFF, 0xFFFF, 0xFFFF}, num("-2")},
		{adapters.Point{Type: "float64"}, []uint16{0x3FF8, 0, 0, 0}, num("1.5")},
		{adapters.Point{Type: "float64", Order: "DCBA"}, []uint16{0, 0, 0, 0xF83F}, num("1.5")},
		{adapters.Point{Type: "bool"}, []uint16{1}, true},
		{adapters.Point{Type: "bool", Bit: bit(15)}, []uint16{0x8000}, true},
		{adapters.Point{Type: "bool", Bit: bit(15)}, []uint16{0x7FFF}, false},
		{adapters.Point{Type: "uint32", Bit: bit(16)}, []uint16{0x0001, 0}, true},
		{adapters.Point{Type: "uint32", Bit: bit(16), Order: "CDAB"}, []uint16{0, 0x0001}, true},
		{adapters.Point{Type: "string", Length: 5}, []uint16{0x6162, 0x6364, 0x6500}, "abcde"},
		{adapters.Point{Type: "string", Length: 6}, []uint16{0x6162, 0x6300, 0x7878}, "abc"},
		{adapters.Point{Type: "string", Length: 4, Order: "BADC"}, []uint16{0x6261, 0x2063}, "abc"},
		{adapters.Point{Type: "uint16", Enum: map[string]string{"3": "heat"}}, []uint16{3}, "heat"},
		{adapters.Point{Type: "int16", Scale: decimal("0.1"), Offset: decimal("-40")}, []uint16{650}, num("25")},
	} {
		c.point.At = "holding:7"
		place, err := modbus.ParsePlace(c.point)
		if err != nil || place.Words() != len(c.words) {
			t.Errorf("%+v: %d words, %v", c.point, place.Words(), err)
			continue
		}
		got, q := place.Decode(c.words)
		if got != c.want || q != adapters.Good {
			t.Errorf("%s %s %#04x = %v (%s), want %v", c.point.Type, c.point.Order, c.words, got, q, c.want)
		}
		if c.point.Bit != nil || c.point.Type == "int8" || c.point.Type == "uint8" {
			continue // a part of a register is not written
		}
		again, err := place.Encode(got)
		if err != nil {
			t.Errorf("%s %s encode %v: %v", c.point.Type, c.point.Order, got, err)
			continue
		}
		if back, _ := place.Decode(again); back != c.want {
			t.Errorf("%s %s: %v is written %#04x, which is %v", c.point.Type, c.point.Order, c.want, again, back)
		}
	}
	for zero, document := range map[adapters.Address]adapters.Address{
		"coil:0": "00001", "discrete:4": "10005", "input:0": "30001", "holding:11": "40012", "holding:9999": "410000", "holding:65535": "465536",
	} {
		a := planOf(t, adapters.Point{At: zero, Type: typeOf(zero)})
		b := planOf(t, adapters.Point{At: document, Type: typeOf(zero)})
		if a.Table != b.Table || a.Addr != b.Addr {
			t.Errorf("%s is %s:%d, want %s", document, b.Table, b.Addr, zero)
		}
	}
}

func typeOf(a adapters.Address) string {
	if a[0] == 'c' || a[0] == 'd' {
		return ""
	}
	return "uint16"
}

func planOf(tb testing.TB, p adapters.Point) modbus.Planned {
	tb.Helper()
	plan, _ := modbus.Buses{"b": {Type: modbus.TCP, Host: "h"}}.Plan("b", adapters.Things{"t": {Bus: "b", Points: map[string]adapters.Point{"p": p}}})
	if len(plan) != 1 {
		tb.Fatalf("%d requests for one point", len(plan))
	}
	return plan[0]
}

func TestCodec_Refuses(t *testing.T) {
	for _, c := range []struct {
		point adapters.Point
		value any
		want  string
	}{
		{adapters.Point{Type: "int16"}, num("40000"), "out of range: -32768 to 32767"},
		{adapters.Point{Type: "uint16", Scale: decimal("0.1")}, num("-1"), "out of range: 0 to 6553.5"},
		{adapters.Point{Type: "uint16"}, "5", `want a number, have "5"`},
		{adapters.Point{Type: "bool"}, num("1"), "want true or false, have 1"},
		{adapters.Point{Type: "string", Length: 3}, "four", "4 bytes of text; there is room for 3"},
		{adapters.Point{Type: "float32"}, num("1e39"), "1e39 is out of range of a float32"},
		{adapters.Point{Type: "float64"}, num("1e999999"), "1e999999 is no number that a device holds"},
		{adapters.Point{Type: "uint16", Enum: map[string]string{"1": "on"}}, "off", `want one of on, have "off"`},
	} {
		c.point.At = "holding:0"
		place, err := modbus.ParsePlace(c.point)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := place.Encode(c.value); err == nil || err.Error() != c.want {
			t.Errorf("%s of %v: %v, want %s", c.point.Type, c.value, err, c.want)
		}
	}
	for _, words := range [][]uint16{{0x7FC0, 0}, {0x7F80, 0}, {0xFF80, 0}} {
		place, _ := modbus.ParsePlace(adapters.Point{At: "input:0", Type: "float32"})
		if v, q := place.Decode(words); v != nil || q != adapters.Bad {
			t.Errorf("float %#04x = %v (%s), want no value", words, v, q)
		}
	}
	place, _ := modbus.ParsePlace(adapters.Point{At: "input:0", Type: "string", Length: 2})
	if v, q := place.Decode([]uint16{0xFFFE}); v != nil || q != adapters.Bad {
		t.Errorf("no text = %v (%s), want no value", v, q)
	}
}

// FuzzCodec: whatever registers hold is a value that is bounded, or none; and a
// value that was read can be written, and reads the same.
func FuzzCodec(f *testing.F) {
	types := []string{"bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64", "string"}
	orders := []string{"ABCD", "CDAB", "BADC", "DCBA"}
	f.Add(uint8(9), uint8(1), int64(1), int8(-1), []byte{0x42, 0xF6, 0xE9, 0x79})
	f.Add(uint8(11), uint8(2), int64(1), int8(0), []byte("hello\x00\xff"))
	f.Fuzz(func(t *testing.T, kind, order uint8, scale int64, exp int8, raw []byte) {
		p := adapters.Point{At: "holding:0", Type: types[int(kind)%len(types)], Order: orders[int(order)%4]}
		if p.Type == "string" {
			p.Length = 8
		}
		if p.Type != "string" && p.Type != "bool" && scale != 0 && scale < 1e6 && scale > -1e6 {
			d := decimal(fmt.Sprintf("%de%d", scale, exp%10))
			p.Scale = d
		}
		place, err := modbus.ParsePlace(p)
		if err != nil {
			return
		}
		words := make([]uint16, place.Words())
		for i, b := range raw[:min(len(raw), 2*len(words))] {
			words[i/2] |= uint16(b) << (8 * (1 - i%2))
		}
		v, q := place.Decode(words)
		if q.HasValue() != (v != nil) {
			t.Fatalf("%v with quality %s", v, q)
		}
		if len(adapters.Describe(v)) > 400 {
			t.Fatalf("a value of %d bytes", len(adapters.Describe(v)))
		}
		if v == nil || p.Type == "int8" || p.Type == "uint8" {
			return
		}
		again, err := place.Encode(v)
		if err != nil {
			t.Fatalf("%+v: %v of %#04x can't be written: %v", p, v, words, err)
		}
		back, _ := place.Decode(again)
		if back != v && !slices.Equal(again, words) {
			t.Fatalf("%+v: %v is written %#04x, which is %v", p, v, again, back)
		}
	})
}
