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
)

const (
	// TCP is the type of a bus that is reached by Modbus TCP.
	TCP = "modbus-tcp"
	// defaultTimeout is long for a LAN and short for a slow converter: what
	// answers later is counted as discarded, and the key is there.
	defaultTimeout = time.Second
	// defaultMaxGap is how many registers are read along to save a request: on
	// a slow line 16 bytes cost less than a request does.
	defaultMaxGap = 8
)

// unavailable are the types of buses that a later version knows.
var unavailable = []string{"modbus-rtu", "modbus-rtu-tcp", "serial", "ble"}

// Buses is the buses section of the configuration, by name.
type Buses map[string]Config

// Config is one bus.
type Config struct {
	Type    string        `yaml:"type"`    // modbus-tcp
	Host    string        `yaml:"host"`    // host:port; without a port 502
	Timeout time.Duration `yaml:"timeout"` // for an answer, and for a connection; 0 means 1 s
	Gap     time.Duration `yaml:"gap"`     // silence between two requests, for devices that need it
	Settle  time.Duration `yaml:"settle"`  // silence between the connection and the first request
}

func (c Config) withDefaults() Config {
	if _, _, err := net.SplitHostPort(c.Host); err != nil {
		c.Host = net.JoinHostPort(strings.Trim(c.Host, "[]"), "502")
	}
	if c.Timeout == 0 {
		c.Timeout = defaultTimeout
	}
	return c
}

// Validate names all that is wrong with the buses, and with the things on them,
// in the order of the names. What is wrong with a thing whatever its driver is
// says adapters.Things.Validate.
func (bs Buses) Validate(things adapters.Things) []error {
	var errs []error
	fault := func(path, format string, args ...any) {
		errs = append(errs, adapters.FieldError{Path: path, Text: fmt.Sprintf(format, args...)})
	}
	hosts := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(bs)) {
		path, c := "buses."+name, bs[name]
		c.validate(func(key, text string) { fault(path+key, "%s", text) })
		if host := c.withDefaults().Host; c.Type == TCP && c.Host != "" {
			if other := hosts[host]; other != "" {
				fault(path+".host", "bus %s has it too, and a host has one session; make it one bus and tell its things apart by unit", other)
			}
			hosts[host] = name
		}
	}
	for _, name := range slices.Sorted(maps.Keys(things)) {
		path, t := "things."+name, things[name]
		if t.Bus == "" {
			continue
		}
		if _, known := bs[t.Bus]; !known {
			fault(path+".bus", "no bus %q; %s", t.Bus, have(bs))
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
	switch {
	case c.Type == "":
		fault(".type", "is missing; write type: "+TCP)
		return
	case slices.Contains(unavailable, c.Type):
		fault(".type", c.Type+" is not available in this version; "+TCP+" is")
		return
	case c.Type != TCP:
		fault(".type", fmt.Sprintf("no type %q; write %s", c.Type, TCP))
		return
	}
	host, port, err := net.SplitHostPort(c.withDefaults().Host)
	if number, portErr := strconv.Atoi(port); err != nil || portErr != nil || host == "" || number < 1 || number > 65535 {
		fault(".host", fmt.Sprintf("%q is no host:port; write host: \"10.0.0.20:502\"", c.Host))
	}
	for _, d := range []struct {
		key   string
		value time.Duration
	}{{".timeout", c.Timeout}, {".gap", c.Gap}, {".settle", c.Settle}} {
		if d.value < 0 || d.value > time.Minute {
			fault(d.key, fmt.Sprintf("%s; 0 to 1m", d.value))
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
