package modbus

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"edgeshadow/adapters"
	wire "edgeshadow/adapters/binary"
)

// What one request may carry (Modbus Application Protocol V1.1b3, 6.1 to 6.4, 6.12).
const (
	maxRegisters      = 125
	maxBits           = 2000
	maxWriteRegisters = 123
)

// point is a point of the configuration, ready to be read.
type point struct {
	thing, path string
	table       table
	addr        uint16
	codec       codec
	write       bool
	every       time.Duration
	unit        *unit
	next        time.Time // when it is to be read; Run owns it

	// Guarded by Bus.mu: what a poll has to know of writes.
	writing int    // writes that are queued or not read back
	writes  uint64 // moves whenever writing does
}

// end is the address after the point's last.
func (p *point) end() int { return int(p.addr) + p.codec.count }

// reading is what words say of the point.
func (p *point) reading(words []uint16, now time.Time) adapters.Reading {
	v, quality := p.codec.decode(words)
	return adapters.Reading{Thing: p.thing, Path: p.path, Value: v, Quality: quality, Time: now}
}

// failed is a reading without a value.
func (p *point) failed(quality adapters.Quality, now time.Time) adapters.Reading {
	return adapters.Reading{Thing: p.thing, Path: p.path, Quality: quality, Time: now}
}

// parsePoint reads what a point says of where and how it is held. fault is
// called with the key of each mistake.
func parsePoint(cfg adapters.Point, fault func(key, text string)) point {
	p := point{write: cfg.Write}
	t, addr, err := parseAddress(cfg.At)
	if err != nil {
		fault("at", err.Error())
		return p
	}
	p.table, p.addr = t, addr
	f := parseFormat(&p, cfg, fault)
	parseOrder(p.table, cfg, f, fault)
	checkKeys(&p, cfg, f, fault)
	p.codec = newCodec(cfg, f, p.codec.count)
	if p.end() > 0x10000 {
		fault("at", fmt.Sprintf("%s and the %d after it end beyond 65535", cfg.At, p.codec.count-1))
	}
	return p
}

// parseFormat is the format of the type, and says how many words it takes.
func parseFormat(p *point, cfg adapters.Point, fault func(key, text string)) wire.Format {
	f, ok := wire.Formats[cfg.Type]
	ok = ok && f.Size != 3 // no registers hold three bytes
	p.codec.count = 1
	switch {
	case p.table.bits() && cfg.Type != "" && cfg.Type != "bool":
		fault("type", fmt.Sprintf("a %s is a bool; take type out, or read a register (input or holding)", p.table))
	case p.table.bits():
		f = wire.Formats["bool"]
	case cfg.Type == "":
		fault("type", "is missing; a register has one of "+formats())
	case !ok:
		fault("type", fmt.Sprintf("no type %q; there are %s", cfg.Type, formats()))
	}
	p.codec.count = max(1, f.Size/2)
	if f.Kind != wire.Text {
		if cfg.Length != 0 {
			fault("length", "is for type string")
		}
		return f
	}
	if cfg.Length < 1 || cfg.Length > 2*maxRegisters {
		fault("length", fmt.Sprintf("a string needs its length in bytes, 1 to %d", 2*maxRegisters))
		return f
	}
	p.codec.count = (cfg.Length + 1) / 2
	return f
}

// formats are the types that registers hold.
func formats() string {
	names := slices.Sorted(maps.Keys(wire.Formats))
	return strings.Join(slices.DeleteFunc(names, func(name string) bool { return wire.Formats[name].Size == 3 }), " ")
}

func parseOrder(t table, cfg adapters.Point, f wire.Format, fault func(key, text string)) {
	switch {
	case !slices.Contains([]string{"", "ABCD", "CDAB", "BADC", "DCBA"}, cfg.Order):
		fault("order", fmt.Sprintf("no order %q; there are ABCD CDAB BADC DCBA", cfg.Order))
	case cfg.Order != "" && t.bits():
		fault("order", fmt.Sprintf("a %s has none; take it out", t))
	case f.Kind == wire.Text && (cfg.Order == "CDAB" || cfg.Order == "DCBA"):
		fault("order", "text is ABCD, or BADC when the low byte of a register comes first")
	}
}

// checkKeys holds keys against the type.
func checkKeys(p *point, cfg adapters.Point, f wire.Format, fault func(key, text string)) {
	whole := f.Whole() && cfg.Bit == nil
	numeric := whole || f.Kind == wire.Float
	for _, key := range []struct {
		name string
		set  bool
		ok   bool
		text string
	}{
		{"scale", cfg.Scale != nil, numeric, "is for numbers"},
		{"offset", cfg.Offset != nil, numeric, "is for numbers"},
		{"deadband", cfg.Deadband != nil, numeric, "is for numbers"},
		{"min", cfg.Min != nil, numeric, "is for numbers"},
		{"max", cfg.Max != nil, numeric, "is for numbers"},
		{"step", cfg.Step != nil, numeric, "is for numbers"},
		{"enum", len(cfg.Enum) > 0, whole, "is for integers"},
		{"bits", len(cfg.Bits) > 0, whole && f.Size >= 2, "are of an integer of 16 bits and more"},
	} {
		if key.set && !key.ok {
			fault(key.name, key.text)
		}
	}
	if cfg.Bit != nil {
		most := max(16, 8*f.Size)
		switch {
		case p.table.bits() || f.Kind != wire.Boolean && !f.Whole():
			fault("bit", "is for type bool, or an integer, in a register (input or holding)")
		case *cfg.Bit < 0 || *cfg.Bit >= most:
			fault("bit", fmt.Sprintf("%d is no bit of it: 0 (the lowest) to %d", *cfg.Bit, most-1))
		}
	}
	for number := range cfg.Bits {
		if n, err := strconv.Atoi(number); whole && err == nil && n >= 8*f.Size {
			fault("bits."+number, fmt.Sprintf("is no bit of a %s: 0 (the lowest) to %d", cfg.Type, 8*f.Size-1))
		}
	}
	switch {
	case !cfg.Write:
	case !p.table.writable():
		fault("write", fmt.Sprintf("a %s is read only; coils and holding registers can be written", p.table))
	case cfg.Bit != nil, whole && f.Size == 1:
		fault("write", "a part of a register can't be written alone; make a point of the whole register")
	case p.codec.count > maxWriteRegisters:
		fault("write", fmt.Sprintf("%d registers; at most %d can be written at once", p.codec.count, maxWriteRegisters))
	}
}
