package gateway

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"runtime/debug"
	"slices"
	"time"

	"edgeshadow/bridge"
	"edgeshadow/cmd/console"
	"edgeshadow/localshadow/shadow"
)

// The methods below are what the console shows: console.Gateway.

// Status is the whole of the gateway at a glance.
func (g *Gateway) Status() (s console.Status, err error) {
	s = g.Numbers()
	if s.Things, err = g.Things(); err != nil {
		return s, err
	}
	if g.sync != nil {
		s.Unsynced, err = g.sync.Unsynced()
	}
	return s, err
}

// Numbers are the Status without what is to be read of every shadow: of the
// things there are those that are wired.
func (g *Gateway) Numbers() console.Status {
	s := console.Status{
		Thing: g.cfg.Load().Gateway.Thing, Version: g.options.Version, Boot: g.store.Boot(), Since: g.began, Uptime: time.Since(g.began).Round(time.Second).String(),
		Clients: g.broker.Stats(), Access: g.access.Stats(), Store: g.store.Stats(), Buses: g.field.Stats(), MemoryBytes: resident(),
		Held: g.floor.status(), Clock: g.ca.ClockHint(),
	}
	if limit := debug.SetMemoryLimit(-1); limit < math.MaxInt64 {
		s.MemoryLimit = limit
	}
	for _, a := range g.Addrs() {
		s.Listeners = append(s.Listeners, a.String())
	}
	for _, t := range g.field.Things() {
		if t.Known {
			s.Things = append(s.Things, console.Thing{Name: t.Name, Online: &t.Online, Quality: t.Quality})
		}
	}
	if g.uplink != nil {
		up, stats, relayed := g.uplink.Status(), g.sync.Stats(), g.relay.Stats()
		s.Uplink, s.Sync, s.Relay = &up, &stats, &relayed
		traffic := g.traffic.read(time.Now(), up.BytesOut, up.BytesIn)
		s.Traffic = &traffic
	}
	return s
}

// Ready is nil while what the gateway promises can be kept. The uplink is no
// part of it: everything else works without.
func (g *Gateway) Ready() error {
	space, err := g.store.Space()
	switch {
	case !g.serving.Load():
		return errors.New("starting or stopping")
	case g.store.Err() != nil:
		return fmt.Errorf("the store failed: %w", g.store.Err())
	case err == nil && space.Free < space.Need:
		return fmt.Errorf("disk full: %d MiB free, %d MiB needed to store anything", space.Free>>20, space.Need>>20)
	}
	return nil
}

// Timings are the histograms.
func (g *Gateway) Timings() *console.Timings { return g.timings }

// Things lists what the gateway knows: configured things, and those that only
// have shadows.
func (g *Gateway) Things() ([]console.Thing, error) {
	found := map[string]*console.Thing{}
	for name, t := range g.cfg.Load().Things.Field() {
		found[name] = &console.Thing{Name: name, Origin: "configured", Type: t.Type, Bus: t.Driver()}
	}
	for _, st := range g.field.Things() {
		if t := found[st.Name]; t != nil && st.Known {
			t.Online, t.Since, t.Quality, t.Refused = &st.Online, st.Since, st.Quality, st.Refused
		}
	}
	enrolled, err := g.access.Enrolled()
	if err != nil {
		return nil, err
	}
	for _, t := range g.registry.List() {
		if !t.Configured {
			found[t.Name] = &console.Thing{Name: t.Name, Origin: "created", Type: t.Type}
		}
	}
	for name := range enrolled {
		if found[name] == nil {
			found[name] = &console.Thing{Name: name, Origin: "enrolled"}
		}
	}
	err = g.service.All(func(id shadow.ID) error {
		t := found[id.Thing]
		if t == nil {
			t = &console.Thing{Name: id.Thing, Origin: "shadow"}
			found[id.Thing] = t
		}
		d, err := g.service.Document(id)
		if err != nil || d == nil {
			return err
		}
		t.Shadows = append(t.Shadows, console.Shadow{Name: id.Name, Version: d.Version})
		return nil
	})
	if err != nil {
		return nil, err
	}
	out := make([]console.Thing, 0, len(found))
	for _, t := range found {
		out = append(out, *t)
	}
	slices.SortFunc(out, func(a, b console.Thing) int { return cmp.Compare(a.Name, b.Name) })
	return out, nil
}

// Access is who may do what.
func (g *Gateway) Access() console.Access { return g.access }

// Shadows is the shadow service.
func (g *Gateway) Shadows() console.Shadows { return g.service }

// SyncStatus is how each shadow stands to the cloud; empty without an uplink.
func (g *Gateway) SyncStatus() ([]bridge.ShadowStatus, error) {
	if g.sync == nil {
		return []bridge.ShadowStatus{}, nil
	}
	return g.sync.Status()
}

// Decisions is the journal; empty without an uplink.
func (g *Gateway) Decisions(id *shadow.ID) ([]bridge.Decision, error) {
	if g.sync == nil {
		return []bridge.Decision{}, nil
	}
	return g.sync.Decisions(id)
}

// Reconciler is what the commands of sync ask; nil without an uplink.
func (g *Gateway) Reconciler() console.Reconciler {
	if g.sync == nil {
		return nil
	}
	return g.sync
}
