package config

import (
	"edgeshadow/localshadow"
)

// Config is a whole configuration.
type Config struct {
	// Version is that of the format; there is one, 1.
	Version int `yaml:"config_version"`

	Gateway Gateway            `yaml:"gateway"`
	Store   localshadow.Config `yaml:"store"`
}

// Gateway is the box itself.
type Gateway struct {
	// Thing is the name under which the gateway is a thing, and its client id
	// at the cloud.
	Thing string `yaml:"thing"`
}

// Default is the configuration of a gateway that nobody configured.
func Default() *Config {
	return &Config{
		Version: 1,
		Gateway: Gateway{Thing: hostThing()},
		Store:   localshadow.Default(),
	}
}
