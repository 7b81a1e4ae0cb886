package gateway

import (
	"log/slog"

	"edgeshadow/adapters"
	"edgeshadow/adapters/modbus"
	"edgeshadow/adapters/serial"
	"edgeshadow/config"
)

// drivers makes the drivers of a configuration, by name: one for each bus, and
// one for each serial port.
func drivers(cfg *config.Config, log *slog.Logger) map[string]adapters.Driver {
	out := map[string]adapters.Driver{}
	for name, bus := range cfg.Buses {
		out[name] = modbus.New(name, bus, cfg.Things.Field(), log)
	}
	for port, things := range serial.ByPort(cfg.Things.Serial()) {
		out[serial.Config{Port: port}.Driver()] = serial.New(port, things, log)
	}
	return out
}
