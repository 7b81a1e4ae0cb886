package modbus

import (
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"edgeshadow/adapters"
	"edgeshadow/adapters/port"
)

const (
	// TCP is the type of a bus that is reached by Modbus TCP.
	TCP = "modbus-tcp"
	// RTU is the type of a serial line.
	RTU = "modbus-rtu"
	// RTUTCP is the type of a serial line behind a converter that passes its
	// frames through as they are.
	RTUTCP = "modbus-rtu-tcp"
	// defaultTimeout is long for a LAN and short for a slow converter: what
	// answers later is counted as discarded, and the key is there.
	defaultTimeout = time.Second
	// defaultMaxGap is how many registers are read along to save a request: on
	// a slow line 16 bytes cost less than a request does.
	defaultMaxGap = 8
	// maxTimeout and maxGap keep a typing error from stopping a bus.
	maxTimeout = time.Minute
	maxGap     = 5 * time.Second
	// defaultGap is the silence between frames of a line. The specification
	// asks for 3.5 characters; many devices, and most converters, need more.
	defaultGap = 20 * time.Millisecond
	// The silence that ends a frame (Modbus over serial line V1.02, 2.5.1.1):
	// 3.5 characters, and above 19200 baud 1.75 ms.
	frameEnd     = 1750 * time.Microsecond
	frameEndBaud = 19200
)

// defaultLine is what most devices come with.
var defaultLine = port.Line{Baud: 9600, Bits: 8, Parity: 'N', Stop: 1}

// types are those of buses.
var types = []string{TCP, RTU, RTUTCP}

// Buses is the buses section of the configuration, by name.
type Buses map[string]Config

// Config is one bus.
type Config struct {
	Type    string        `yaml:"type"`    // modbus-tcp, modbus-rtu or modbus-rtu-tcp
	Host    string        `yaml:"host"`    // host:port of a TCP type; without a port 502
	Port    string        `yaml:"port"`    // of a line: a path, or usb:vid:pid[:serial]
	Line    port.Line     `yaml:"line"`    // 9600-8N1, the default
	RS485   *port.RS485   `yaml:"rs485"`   // nil: the adapter switches by itself
	Timeout time.Duration `yaml:"timeout"` // for an answer, and for a connection; 0 means 1 s
	// Gap is the silence between two requests; nil means 20 ms on a line, also
	// behind a converter, and none over TCP. A line keeps 3.5 characters at least.
	Gap    *time.Duration `yaml:"gap"`
	Settle time.Duration  `yaml:"settle"` // silence between the connection and the first request
}

// serial says whether units share a line, by frames that have no header.
func (c Config) serial() bool { return c.Type != TCP }

func (c Config) withDefaults() Config {
	if c.Type != RTU {
		if _, _, err := net.SplitHostPort(c.Host); err != nil {
			c.Host = net.JoinHostPort(strings.Trim(c.Host, "[]"), "502")
		}
	}
	if c.Timeout == 0 {
		c.Timeout = defaultTimeout
	}
	if c.Line == (port.Line{}) {
		c.Line = defaultLine
	}
	return c
}

// Address is where the bus is: its host:port, or its port.
func (c Config) Address() string {
	if c.Type == RTU {
		return c.Port
	}
	return c.withDefaults().Host
}

// silence is what lies between two frames at least.
func (c Config) silence() time.Duration {
	var gap, least time.Duration
	if c.serial() {
		gap = defaultGap
	}
	if c.Type == RTU {
		least = frameEnd
		if c.Line.Baud <= frameEndBaud {
			least = c.Line.Time(7) / 2
		}
	}
	if c.Gap != nil {
		gap = *c.Gap
	}
	return max(gap, least)
}

// Validate names all that is wrong with the buses, and with the things on them,
// in the order of the names. What is wrong with a thing whatever its driver is
// says adapters.Things.Validate.
func (bs Buses) Validate(things adapters.Things) []error {
	var errs []error
	fault := func(path, format string, args ...any) {
		errs = append(errs, adapters.FieldError{Path: path, Text: fmt.Sprintf(format, args...)})
	}
	taken := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(bs)) {
		path, c := "buses."+name, bs[name]
		c.validate(func(key, text string) { fault(path+key, "%s", text) })
		key, text := ".host", "bus %s has it too, and a host has one session; make it one bus and tell its things apart by unit"
		if c.Type == RTU {
			key, text = ".port", "bus %s has it too, and a line has one owner; make it one bus and tell its things apart by unit"
		}
		if where := c.Address(); slices.Contains(types, c.Type) && where != "" {
			if other := taken[where]; other != "" {
				fault(path+key, text, other)
			}
			taken[where] = name
		}
	}
	for _, name := range slices.Sorted(maps.Keys(things)) {
		path, t := "things."+name, things[name]
		if t.Bus == "" {
			continue
		}
		bus, known := bs[t.Bus]
		switch {
		case !known:
			fault(path+".bus", "no bus %q; %s", t.Bus, have(bs))
		case bus.serial() && t.UnitID() == 0 && slices.Contains(types, bus.Type):
			fault(path+".unit", "0 speaks to all on a line, and nobody answers; a unit has 1 to 247")
		}
		validateThing(t, func(key, text string) { fault(path+"."+key, "%s", text) })
	}
	return errs
}

func have(bs Buses) string {
	if len(bs) == 0 {
		return "there are none: add it under buses"
	}
	return "there are " + strings.Join(slices.Sorted(maps.Keys(bs)), " ")
}

// validate calls fault with the key, dot in front, of each mistake; "" is the
// bus as a whole.
func (c Config) validate(fault func(key, text string)) {
	known := strings.Join(types, " ")
	switch {
	case c.Type == "":
		fault(".type", "is missing; there are "+known)
		return
	case !slices.Contains(types, c.Type):
		fault(".type", fmt.Sprintf("no type %q; there are %s", c.Type, known))
		return
	}
	if c.Type == RTU {
		c.validateLine(fault)
	} else {
		c.validateHost(fault)
	}
	c.RS485.Validate(func(key, text string) { fault(".rs485."+key, text) })
	var gap time.Duration
	if c.Gap != nil {
		gap = *c.Gap
	}
	for _, d := range []struct {
		key         string
		value, most time.Duration
	}{{".timeout", c.Timeout, maxTimeout}, {".gap", gap, maxGap}, {".settle", c.Settle, maxTimeout}} {
		if d.value < 0 || d.value > d.most {
			fault(d.key, fmt.Sprintf("%s; 0 to %s", d.value, d.most))
		}
	}
}

func (c Config) validateLine(fault func(key, text string)) {
	if err := port.ValidName(c.Port); err != nil {
		fault(".port", err.Error())
	}
	if c.Host != "" {
		fault(".host", "is for "+TCP+" and "+RTUTCP+"; a line has a port")
	}
}

func (c Config) validateHost(fault func(key, text string)) {
	host, number, err := net.SplitHostPort(c.withDefaults().Host)
	if n, portErr := strconv.Atoi(number); err != nil || portErr != nil || host == "" || n < 1 || n > 65535 {
		fault(".host", fmt.Sprintf("%q is no host:port; write host: \"10.0.0.20:502\"", c.Host))
	}
	for _, key := range []struct {
		name string
		set  bool
	}{{".port", c.Port != ""}, {".line", c.Line != (port.Line{})}, {".rs485", c.RS485 != nil}} {
		if key.set {
			fault(key.name, "is for "+RTU+"; the converter at the host has its own")
		}
	}
}

func validateThing(t adapters.Thing, fault func(key, text string)) {
	if t.MaxRegisters > maxRegisters {
		fault("max_registers", fmt.Sprintf("%d; an answer of the protocol has at most %d", t.MaxRegisters, maxRegisters))
	}
	for _, name := range slices.Sorted(maps.Keys(t.Points)) {
		p := parsePoint(t.Points[name], func(key, text string) { fault("points."+name+"."+key, text) })
		if t.MaxRegisters > 0 && !p.table.bits() && p.codec.count > t.MaxRegisters {
			fault("points."+name, fmt.Sprintf("%d registers, and the thing's max_registers is %d", p.codec.count, t.MaxRegisters))
		}
	}
}
