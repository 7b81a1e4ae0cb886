package adapters_test

import (
	"math"
	"testing"

	"edgeshadow/adapters"
)

func TestPoint_Scale(t *testing.T) {
	for _, c := range []struct {
		raw           int64
		scale, offset string
		want          string
	}{
		{215, "0.1", "", "21.5"}, {-5, "0.1", "", "-0.5"}, {210, "0.1", "", "21"}, {1, "1e-3", "", "0.001"},
		{215, "0.1", "-40", "-18.5"}, {400, "0.1", "-40", "0"}, {3, "", "0.25", "3.25"}, {3, "-2", "10", "4"},
		{math.MaxInt64, "10", "1", "92233720368547758071"}, {0, "0.1", "0", "0"},
	} {
		var p adapters.Point
		if c.scale != "" {
			p.Scale = decimal(t, c.scale)
		}
		if c.offset != "" {
			p.Offset = decimal(t, c.offset)
		}
		got := p.ScaleInt(c.raw)
		if string(got) != c.want {
			t.Errorf("%d × %s + %s = %s, want %s", c.raw, c.scale, c.offset, got, c.want)
		}
		back, err := p.UnscaleInt(got)
		if err != nil || !back.IsInt64() || back.Int64() != c.raw {
			t.Errorf("%s back = %v, %v; want %d", got, back, err, c.raw)
		}
	}
	p := adapters.Point{Scale: decimal(t, "0.1"), Offset: decimal(t, "1")}
	if got, ok := p.ScaleFloat(2.5, 32); !ok || got != "1.25" {
		t.Errorf("2.5 × 0.1 + 1 = %s", got)
	}
	if _, ok := p.ScaleFloat(math.NaN(), 64); ok {
		t.Error("NaN has a value")
	}
}

func TestPoint_Enum(t *testing.T) {
	p := adapters.Point{Enum: map[string]string{"0": "off", "2": "heat"}}
	for raw, want := range map[string]any{"0": "off", "2": "heat", "7": num("7")} {
		if got := p.Named(num(raw)); got != want {
			t.Errorf("%s is named %v, want %v", raw, got, want)
		}
	}
	for value, want := range map[any]any{"heat": num("2"), num("0"): num("0")} {
		if got, err := p.Unnamed(value); got != want || err != nil {
			t.Errorf("%v is held as %v, %v; want %v", value, got, err, want)
		}
	}
	if _, err := p.Unnamed("cool"); err == nil || err.Error() != `want one of heat off, have "cool"` {
		t.Errorf("cool: %v", err)
	}
}

func TestThings_Validate(t *testing.T) {
	thing := adapters.Thing{Bus: "b", Points: map[string]adapters.Point{
		"enum":  {Enum: map[string]string{"x": "a", "1": "a", "2": ""}, Scale: decimal(t, "2")},
		"bits":  {Bits: map[string]string{"64": "a", "1": "b.c", "2": "a"}, Write: true},
		"step":  {Step: decimal(t, "0.5")},
		"step0": {Step: decimal(t, "0"), Write: true},
	}, Heartbeat: -1}
	var got []string
	for _, err := range (adapters.Things{"t": thing}).Validate() {
		got = append(got, err.Error())
	}
	want := []string{
		"things.t.heartbeat: -1ns is negative; leave the key out for none",
		"things.t.points.bits.bits: are read as they are: no bit, scale, offset, deadband or write beside them",
		"things.t.points.bits.bits.1: a bit's name has 1 to 128 bytes, and no dot",
		`things.t.points.bits.bits.64: "64" is no bit: 0 (the lowest) to 63`,
		`things.t.points.bits.bits.64: "a" is the name of bit 2 already`,
		"things.t.points.enum.scale: is for numbers, and enum makes names of them; take one of the two out",
		"things.t.points.enum.enum.2: a name has 1 to 128 bytes",
		`things.t.points.enum.enum.x: "x" is no integer`,
		`things.t.points.enum.enum.x: "a" is the name of 1 already`,
		"things.t.points.step.step: bounds what is written, and nothing is: add write: true, or take it out",
		"things.t.points.step0.step: 0 is no step; leave the key out when each value will do",
	}
	for i := range max(len(got), len(want)) {
		if i >= len(got) || i >= len(want) || got[i] != want[i] {
			t.Fatalf("faults = %q\nwant %q", got, want)
		}
	}
}

func FuzzDecimal(f *testing.F) {
	for _, s := range []string{"0.1", "-1e3", "18446744073709551616", "1e-400", "+5", "0x1", "1_0", "1e"} {
		f.Add(s, int64(7))
	}
	f.Fuzz(func(t *testing.T, s string, raw int64) {
		d, err := adapters.ParseDecimal(s)
		if err != nil {
			return
		}
		again, err := adapters.ParseDecimal(d.String())
		if err != nil || again != d {
			t.Fatalf("%q is %s, and that is %v, %v", s, d, again, err)
		}
		p := adapters.Point{Scale: &d}
		if d.String() == "0" {
			return
		}
		back, err := p.UnscaleInt(p.ScaleInt(raw))
		if err == nil && (!back.IsInt64() || back.Int64() != raw) {
			t.Fatalf("%d × %s and back is %s", raw, d, back)
		}
	})
}
