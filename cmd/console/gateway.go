package console

import (
	"context"
	"time"

	"edgeshadow/adapters"
	"edgeshadow/bridge"
	"edgeshadow/bridge/upstream"
	"edgeshadow/localshadow"
	"edgeshadow/localshadow/broker"
	"edgeshadow/localshadow/shadow"
)

// Gateway is what the console looks at.
type Gateway interface {
	Status() (Status, error)
	Things() ([]Thing, error)
	Shadows() Shadows
	// SyncStatus and Decisions are empty without an uplink.
	SyncStatus() ([]bridge.ShadowStatus, error)
	Decisions(id *shadow.ID) ([]bridge.Decision, error)
	// Reloaded reads the configuration again and applies it, or not.
	Reloaded() Reloaded
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
	Unsynced    []bridge.ShadowStatus  `json:"unsynced"` // shadows that differ from the cloud, and why
	Things      []Thing                `json:"things"`
	Buses       []adapters.BusStats    `json:"buses"`
	Clients     broker.Stats           `json:"clients"`
	Store       localshadow.StoreStats `json:"store"`
	MemoryBytes uint64                 `json:"memory_bytes"` // obtained from the system
}

// Thing is a device as the gateway knows it.
type Thing struct {
	Name    string                      `json:"name"`
	Origin  string                      `json:"origin"` // configured, or shadow: it only has shadows
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
