package serial

import (
	"fmt"
	"maps"
	"reflect"
	"slices"

	"edgeshadow/adapters"
)

// Thing is a thing on a serial line: its section, and its points.
type Thing struct {
	Config
	Points map[string]adapters.Point
}

// Field are the points of the thing as the Supervisor reads them: all values
// that frames hold, with what the configuration says of them.
func (c Config) Field(points map[string]adapters.Point) map[string]adapters.Point {
	all := map[string]adapters.Point{}
	for _, name := range c.Names() {
		all[name] = points[name]
	}
	return all
}

// Driver is the name of the driver of the section's port.
func (c Config) Driver() string { return "serial:" + c.Port }

// ByPort sorts things by their port.
func ByPort(things map[string]Thing) map[string]map[string]Thing {
	ports := map[string]map[string]Thing{}
	for name, t := range things {
		if ports[t.Port] == nil {
			ports[t.Port] = map[string]Thing{}
		}
		ports[t.Port][name] = t
	}
	return ports
}

// ValidateShared says what is wrong between things that share a port, by thing
// and key.
func ValidateShared(things map[string]Thing, fault func(thing, key, text string)) {
	ports := ByPort(things)
	for _, name := range slices.Sorted(maps.Keys(ports)) {
		sharing := ports[name]
		names := slices.Sorted(maps.Keys(sharing))
		first := sharing[names[0]]
		for _, name := range names[1:] {
			t := sharing[name]
			for _, c := range []struct {
				key       string
				one, then any
			}{
				{"line", first.LineOrDefault(), t.LineOrDefault()}, {"rs485", first.RS485, t.RS485},
				{"frame", first.Frame, t.Frame}, {"check", first.Check, t.Check},
			} {
				if !reflect.DeepEqual(c.one, c.then) {
					fault(name, c.key, fmt.Sprintf("is another one than that of %s, with which it shares port %s", names[0], t.Port))
				}
			}
		}
		if len(names) == 1 {
			continue
		}
		for _, name := range names {
			if t := sharing[name]; t.Match == "" && t.Parse == "" && t.NMEA == nil {
				fault(name, "match", fmt.Sprintf("is missing: several things share port %s, and nothing tells which frame is whose", t.Port))
			}
		}
	}
}
