package gateway

import (
	"log/slog"
	"reflect"
	"slices"

	"edgeshadow/adapters"
	"edgeshadow/adapters/ble"
	"edgeshadow/adapters/modbus"
	"edgeshadow/adapters/serial"
	"edgeshadow/cmd/console"
	"edgeshadow/config"
)

// drivers are what the supervisor runs. The zero value has none.
type drivers struct {
	buses map[string]*modbus.Bus    // by name
	ports map[string]*serial.Driver // by port
	lines map[string]map[string]serial.Thing
	radio *ble.Driver // nil: no thing is a Bluetooth device
	near  map[string]ble.Thing
}

// all are the drivers by the names that things have for them.
func (d drivers) all() map[string]adapters.Driver {
	out := map[string]adapters.Driver{}
	for name, bus := range d.buses {
		out[name] = bus
	}
	for port, driver := range d.ports {
		out[serial.Config{Port: port}.Driver()] = driver
	}
	if d.radio != nil {
		out[ble.DriverName] = d.radio
	}
	return out
}

// prepare makes the drivers of a configuration. Those that go on are the same
// ones; commit has them take what is new of their things.
func (d drivers) prepare(cfg *config.Config, timings *console.Timings, log *slog.Logger) (next drivers, commit, discard func(), err error) {
	buses, poll := cfg.Buses.Prepare(d.buses, cfg.Things.Field(), log)
	for name, bus := range buses {
		if d.buses[name] != bus {
			bus.Took = timings.Poll.Observe
		}
	}
	next = drivers{
		buses: buses, ports: map[string]*serial.Driver{}, lines: serial.ByPort(cfg.Things.Serial()), radio: d.radio, near: cfg.Things.BLE(),
	}
	commits, discards := []func(){poll}, []func(){}
	discard = func() {
		for _, f := range slices.Backward(discards) {
			f()
		}
	}
	for port, things := range next.lines {
		driver := d.ports[port]
		switch {
		case driver == nil:
			driver = serial.New(port, things, log)
		case !reflect.DeepEqual(d.lines[port], things):
			change, keep, err := driver.Prepare(things)
			if err != nil {
				discard()
				return next, nil, nil, err
			}
			commits, discards = append(commits, change), append(discards, keep)
		}
		next.ports[port] = driver
	}
	switch {
	case len(next.near) == 0:
		next.radio = nil
	case d.radio == nil:
		if next.radio, err = ble.New(next.near, log); err != nil {
			discard()
			return next, nil, nil, err
		}
	default: // its bindkeys may have changed where they are
		change, keep, err := d.radio.Prepare(next.near)
		if err != nil {
			discard()
			return next, nil, nil, err
		}
		commits, discards = append(commits, change), append(discards, keep)
	}
	return next, func() {
		for _, f := range commits {
			f()
		}
	}, discard, nil
}
