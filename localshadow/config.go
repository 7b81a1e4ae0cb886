package localshadow

import (
	"errors"
	"fmt"
)

// DefaultPath is where the daemon's package keeps its state.
const DefaultPath = "/var/lib/edgeshadow"

// Durability says what a power cut may lose of what was answered. A kill -9
// loses nothing in either mode.
type Durability string

const (
	// Sync answers after the fsync: nothing that was answered is lost.
	Sync Durability = "sync"
	// OneSecond syncs at most once a second: what was answered within the last
	// second may be lost.
	OneSecond Durability = "1s"
)

// Config is the store section of the configuration.
type Config struct {
	// Path is the folder of all durable state; the database lives in <Path>/store.
	// Empty means DefaultPath.
	Path string `yaml:"path"`
	// Durability is sync or 1s. Empty means sync.
	Durability Durability `yaml:"durability"`
}

// Default is the configuration of a store that nobody configured.
func Default() Config { return Config{Path: DefaultPath, Durability: Sync} }

// Validate names every fault.
func (c Config) Validate() error {
	var faults []error
	switch c.Durability {
	case "", Sync, OneSecond:
	default:
		faults = append(faults, fmt.Errorf("durability: %q is neither sync nor 1s", string(c.Durability)))
	}
	return errors.Join(faults...)
}

func (c Config) withDefaults() Config {
	if c.Path == "" {
		c.Path = DefaultPath
	}
	if c.Durability == "" {
		c.Durability = Sync
	}
	return c
}
