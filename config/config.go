package config

import (
	"edgeshadow/adapters/modbus"
	"edgeshadow/bridge"
	"edgeshadow/bridge/relay"
	"edgeshadow/localshadow"
	"edgeshadow/localshadow/access"
	"edgeshadow/localshadow/broker"
	"edgeshadow/localshadow/registry"
)

// Config is a whole configuration. Each section is the Config of the package
// that it is for.
type Config struct {
	// Version is that of the format; there is one, 1.
	Version  int                `yaml:"config_version"`
	Gateway  Gateway            `yaml:"gateway"`
	Store    localshadow.Config `yaml:"store"`
	Broker   broker.Config      `yaml:"broker"`
	Access   access.Config      `yaml:"access"`
	Registry registry.Config    `yaml:"registry"`
	Cloud    *Cloud             `yaml:"cloud"` // nil: no uplink
	Sync     bridge.Config      `yaml:"sync"`
	Relay    relay.Config       `yaml:"relay"`
	Journal  relay.Classes      `yaml:"journal"` // of what is relayed to the cloud
	Buses    modbus.Buses       `yaml:"buses"`
	Things   Things             `yaml:"things"`

	listeners bool // the files say which there are
}

// NamesListeners says that the files name the broker's listeners, if only none:
// then there are no others.
func (c *Config) NamesListeners() bool { return c.listeners }

// Gateway is the box itself.
type Gateway struct {
	// Thing is the gateway's thing name, and its client id at the cloud.
	Thing string `yaml:"thing"`
	// Memory is what the daemon tries to stay below; 0: GOMEMLIMIT, or no bound.
	Memory Size `yaml:"memory"`
	// Metrics is where /metrics, /healthz and /readyz answer over plain HTTP,
	// host:port; empty: only on the socket of the API.
	Metrics string `yaml:"metrics"`
}

// Default is the configuration of a gateway that nobody configured: one
// listener on loopback, no devices, no uplink.
func Default() *Config {
	return &Config{
		Version: 1,
		Gateway: Gateway{Thing: hostThing()},
		Store:   localshadow.Default(),
		Broker:  broker.Default(),
		Sync:    bridge.Default(),
	}
}
