package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"edgeshadow/adapters"
	"edgeshadow/adapters/ble"
	"edgeshadow/adapters/serial"
)

// Things is the things section, by name.
type Things map[string]Thing

// Thing is a device: on a bus, on a line of its own, or on none.
type Thing struct {
	adapters.Thing `yaml:",inline"`
	Serial         *serial.Config `yaml:"serial"` // nil: not on a serial line
	BLE            *ble.Config    `yaml:"ble"`    // nil: no Bluetooth device
}

// Field are the things as the field reads them: those with a section of their
// own say there which driver they have, and what it learns.
func (ts Things) Field() adapters.Things {
	field := adapters.Things{}
	for name, t := range ts {
		field[name] = t.field()
	}
	return field
}

func (t Thing) field() adapters.Thing {
	out := t.Thing
	if c := t.Serial; c != nil {
		out.Via, out.Bus, out.Points, out.Pace = c.Driver(), "", c.Field(t.Points), t.Every
		if out.Pace == 0 {
			out.Pace = adapters.DefaultEvery
		}
		if out.OfflineAfter == 0 {
			out.OfflineAfter = c.Silence()
		}
	}
	if c := t.BLE; c != nil {
		out.Via, out.Bus, out.Points, out.Learns, out.Pace = ble.DriverName, "", c.Field(t.Points), c.Learns(), t.Every
		if out.Pace == 0 {
			out.Pace = ble.DefaultPace
		}
		if out.OfflineAfter == 0 {
			out.OfflineAfter = c.Silence()
		}
	}
	return out
}

// BLE are the Bluetooth devices, by name.
func (ts Things) BLE() map[string]ble.Thing {
	devices := map[string]ble.Thing{}
	for name, t := range ts {
		if t.BLE != nil {
			devices[name] = ble.Thing{Config: *t.BLE, Points: t.Points}
		}
	}
	return devices
}

// Serial are the things on serial lines, by name.
func (ts Things) Serial() map[string]serial.Thing {
	lines := map[string]serial.Thing{}
	for name, t := range ts {
		if t.Serial != nil {
			lines[name] = serial.Thing{Config: *t.Serial, Points: t.Points}
		}
	}
	return lines
}

// validateSections checks the sections that things have of their own.
func (c *Config) validateSections() (errs []error) {
	fault := func(path, text string) { errs = append(errs, FieldError{path, text}) }
	macs, clashing := map[string]string{}, map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(c.Things)) {
		t, path := c.Things[name], join("things", name)
		if t.Serial == nil && t.BLE == nil {
			continue
		}
		t.refuseBusKeys(path, fault)
		if driver := t.field().Via; clashing[driver] == "" {
			if _, clash := c.Buses[driver]; clash {
				clashing[driver] = name
				fault(join("buses", driver), fmt.Sprintf("is the name under which %s is reached; a bus needs another", name))
			}
		}
		if t.BLE != nil {
			if t.Serial != nil {
				fault(join(path, "ble"), "and a serial section: a device is on one of them")
				continue
			}
			t.BLE.Validate(t.Points, below(join(path, "ble"), fault), below(path, fault))
			mac := strings.ToUpper(t.BLE.MAC)
			if other := macs[mac]; other != "" && mac != "" {
				fault(join(path, "ble.mac"), fmt.Sprintf("is that of %s; a device is one thing", other))
			}
			macs[mac] = name
			continue
		}
		t.Serial.Validate(t.Points, below(join(path, "serial"), fault), below(path, fault))
		for _, bus := range slices.Sorted(maps.Keys(c.Buses)) {
			if c.Buses[bus].Port != "" && c.Buses[bus].Port == t.Serial.Port {
				fault(join(path, "serial.port"), fmt.Sprintf("is that of bus %s: a line is either a bus or spoken freely", bus))
			}
		}
	}
	serial.ValidateShared(c.Things.Serial(), func(thing, key, text string) {
		fault(join(join("things", thing), "serial."+key), text)
	})
	return errs
}

// below is fault for the keys of what stands at path; "" is that itself.
func below(path string, fault func(path, text string)) func(key, text string) {
	return func(key, text string) { fault(strings.TrimSuffix(join(path, key), "."), text) }
}

// refuseBusKeys refuses what only a thing on a bus can mean.
func (t Thing) refuseBusKeys(path string, fault func(path, text string)) {
	if t.Bus != "" {
		fault(join(path, "bus"), "and a section of its own: a device is on one of them")
	}
	for _, k := range []struct {
		key  string
		used bool
	}{{"unit", t.Unit != nil}, {"max_gap", t.MaxGap != nil}, {"max_registers", t.MaxRegisters != 0}} {
		if k.used {
			fault(join(path, k.key), "is for a thing on a bus")
		}
	}
}
