package modbus

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"edgeshadow/adapters"
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
	p.codec = codec{bit: -1, isBit: t.bits(), count: 1, point: cfg}
	parseFormat(&p, cfg, fault)
	parseOrder(&p, cfg, fault)
	checkKeys(&p, cfg, fault)
	if p.end() > 0x10000 {
		fault("at", fmt.Sprintf("%s and the %d after it end beyond 65535", cfg.At, p.codec.count-1))
	}
	return p
}

func parseFormat(p *point, cfg adapters.Point, fault func(key, text string)) {
	known := strings.Join(slices.Sorted(maps.Keys(formats)), " ")
	f, ok := formats[cfg.Type]
	switch {
	case p.table.bits() && cfg.Type != "" && cfg.Type != "bool":
		fault("type", fmt.Sprintf("a %s is a bool; take type out, or read a register (input or holding)", p.table))
	case p.table.bits():
		f = formats["bool"]
	case cfg.Type == "":
		fault("type", "is missing; a register has one of "+known)
	case !ok:
		fault("type", fmt.Sprintf("no type %q; there are %s", cfg.Type, known))
	}
	p.codec.format = f
	p.codec.count = max(1, f.bits/16)
	if cfg.Bit != nil && (f.kind == signed || f.kind == unsigned) {
		p.codec.kind = boolean
	}
	if f.kind != text {
		if cfg.Length != 0 {
			fault("length", "is for type string")
		}
		return
	}
	if cfg.Length < 1 || cfg.Length > 2*maxRegisters {
		fault("length", fmt.Sprintf("a string needs its length in bytes, 1 to %d", 2*maxRegisters))
		return
	}
	p.codec.chars, p.codec.count = cfg.Length, (cfg.Length+1)/2
}

func parseOrder(p *point, cfg adapters.Point, fault func(key, text string)) {
	o, ok := orders[cfg.Order]
	switch {
	case !ok:
		fault("order", fmt.Sprintf("no order %q; there are ABCD CDAB BADC DCBA", cfg.Order))
	case cfg.Order != "" && p.table.bits():
		fault("order", fmt.Sprintf("a %s has none; take it out", p.table))
	case o.swapWords && p.codec.kind == text:
		fault("order", "text is ABCD, or BADC when the low byte of a register comes first")
	}
	p.codec.order = o
}

// checkKeys holds keys against the type.
func checkKeys(p *point, cfg adapters.Point, fault func(key, text string)) {
	c := &p.codec
	numeric := c.kind == signed || c.kind == unsigned || c.kind == float
	whole := c.kind == signed || c.kind == unsigned
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
		{"bits", len(cfg.Bits) > 0, whole && c.bits >= 16, "are of an integer of 16 bits and more"},
	} {
		if key.set && !key.ok {
			fault(key.name, key.text)
		}
	}
	if cfg.Bit != nil {
		c.bit = *cfg.Bit
		most := max(16, c.bits)
		switch {
		case c.isBit || c.kind != boolean:
			fault("bit", "is for type bool, or an integer, in a register (input or holding)")
		case c.bit < 0 || c.bit >= most:
			fault("bit", fmt.Sprintf("%d is no bit of it: 0 (the lowest) to %d", c.bit, most-1))
		}
	}
	for number := range cfg.Bits {
		if n, err := strconv.Atoi(number); whole && err == nil && n >= c.bits {
			fault("bits."+number, fmt.Sprintf("is no bit of a %s: 0 (the lowest) to %d", cfg.Type, c.bits-1))
		}
	}
	switch {
	case !cfg.Write:
	case !p.table.writable():
		fault("write", fmt.Sprintf("a %s is read only; coils and holding registers can be written", p.table))
	case cfg.Bit != nil, c.bits == 8:
		fault("write", "a part of a register can't be written alone; make a point of the whole register")
	case c.count > maxWriteRegisters:
		fault("write", fmt.Sprintf("%d registers; at most %d can be written at once", c.count, maxWriteRegisters))
	}
}
