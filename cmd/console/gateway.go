package console

import (
	"context"
	"io"
	"time"

	"edgeshadow/adapters"
	"edgeshadow/adapters/ble"
	"edgeshadow/adapters/modbus"
	"edgeshadow/adapters/serial"
	"edgeshadow/bridge"
	"edgeshadow/bridge/relay"
	"edgeshadow/bridge/upstream"
	"edgeshadow/localshadow"
	"edgeshadow/localshadow/access"
	"edgeshadow/localshadow/broker"
	"edgeshadow/localshadow/registry"
	"edgeshadow/localshadow/shadow"
)

// Gateway is what the console looks at.
type Gateway interface {
	Status() (Status, error)
	// Numbers are the part of it that does not grow with the shadows.
	Numbers() Status
	Things() ([]Thing, error)
	Shadows() Shadows
	Access() Access
	Registry() *registry.Registry
	// Endpoint is where a device connects by TLS, host:port; empty: nowhere.
	Endpoint(protocol string) string
	// SyncStatus and Decisions are empty without an uplink.
	SyncStatus() ([]bridge.ShadowStatus, error)
	Decisions(id *shadow.ID) ([]bridge.Decision, error)
	// Reconciler is nil without an uplink.
	Reconciler() Reconciler
	// Reloaded reads the configuration again and applies it, or not.
	Reloaded() Reloaded
	// Backup writes the whole gateway: store, CA and configuration.
	Backup(w io.Writer) error
	// Exchange has a Modbus bus do a tool's request between its own.
	Exchange(ctx context.Context, bus string, r modbus.Request) ([]uint16, error)
	// Tap gives what goes over a serial line, first nil, until ctx ends or next
	// fails.
	Tap(ctx context.Context, port string, next func(*serial.Chunk) error) error
	// Near listens for so long and lists the Bluetooth devices that are near.
	Near(ctx context.Context, long time.Duration) ([]ble.Sighting, error)
	// Ready is nil while the gateway does its work, else why it does not.
	Ready() error
	Timings() *Timings
}

// Reloaded is the outcome of a reload.
type Reloaded struct {
	Changes []string `json:"changes"`          // that were applied; none: nothing changed
	Faults  []string `json:"faults,omitempty"` // of the configuration, each with its place
	Error   string   `json:"error,omitempty"`  // why nothing was applied
	Hint    string   `json:"hint,omitempty"`
}

// Shadows is the shadow service: *localshadow.Service.
type Shadows interface {
	Get(ctx context.Context, id shadow.ID, payload []byte) ([]byte, error)
	Update(ctx context.Context, id shadow.ID, payload []byte) ([]byte, error)
	Delete(ctx context.Context, id shadow.ID, payload []byte) ([]byte, error)
	Document(id shadow.ID) (*shadow.Document, error)
	Names(thing, after string, limit int) ([]string, error)
}

// Status is the whole of the gateway at a glance.
type Status struct {
	Thing       string                 `json:"thing"`
	Version     string                 `json:"version"`
	Boot        uint64                 `json:"boot"` // starts of this store
	Since       time.Time              `json:"since"`
	Uptime      string                 `json:"uptime"`
	Listeners   []string               `json:"listeners"`
	Uplink      *upstream.Status       `json:"uplink"` // null: none configured
	Sync        *bridge.Stats          `json:"sync"`
	Relay       *relay.Stats           `json:"relay"`
	Unsynced    []bridge.ShadowStatus  `json:"unsynced"` // shadows that differ from the cloud, and why
	Things      []Thing                `json:"things"`
	Buses       []adapters.BusStats    `json:"buses"`
	Clients     broker.Stats           `json:"clients"`
	Access      access.Stats           `json:"access"`
	Store       localshadow.StoreStats `json:"store"`
	Held        Held                   `json:"held"`
	Traffic     *Traffic               `json:"traffic"`      // null: no uplink
	MemoryBytes uint64                 `json:"memory_bytes"` // resident
	MemoryLimit int64                  `json:"memory_limit,omitempty"`
	Clock       string                 `json:"clock,omitempty"` // what is wrong with it, as far as one can tell
}

// Held are readings that wait because the disk is almost full.
type Held struct {
	Why   string `json:"why,omitempty"` // while it lasts
	Count uint64 `json:"count"`         // of attempts, since the start
}

// Traffic is what the uplink carries, in bytes of MQTT, without TLS and TCP.
type Traffic struct {
	UpDay   int64  `json:"up_day"` // in the last 24 hours, or since the start
	DownDay int64  `json:"down_day"`
	Month   *int64 `json:"month"` // what 30 such days come to; null in the first hour
}

// Thing is a device as the gateway knows it.
type Thing struct {
	Name    string                      `json:"name"`
	Origin  string                      `json:"origin"` // configured, created, enrolled, or shadow: it only has shadows
	Type    string                      `json:"type,omitempty"`
	Bus     string                      `json:"bus,omitempty"`
	Online  *bool                       `json:"online,omitempty"` // of wired things
	Since   time.Time                   `json:"since,omitzero"`
	Quality map[string]adapters.Quality `json:"quality,omitempty"` // of points that are not good
	Refused map[string]string           `json:"refused,omitempty"`
	Shadows []Shadow                    `json:"shadows"`
}

// Shadow is one shadow of a thing; the classic one has no name.
type Shadow struct {
	Name    string `json:"name"`
	Version int64  `json:"version"`
}
