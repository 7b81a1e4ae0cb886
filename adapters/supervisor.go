package adapters

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
)

const (
	// restartFirst and restartMost bound how long a failed driver rests.
	restartFirst = 500 * time.Millisecond
	restartMost  = 60 * time.Second
	// restartStable is how long a driver runs before its next failure counts
	// as a first one.
	restartStable = time.Minute
)

// Sink takes what things report.
type Sink interface {
	// Report merges reported into state.reported of a shadow and returns when
	// that is durable. Values are bool, string, json.Number, objects of these,
	// and nil, which removes the key.
	Report(ctx context.Context, thing, shadow string, reported map[string]any) error
}

// Supervisor runs the drivers, and stands between them and the shadows.
type Supervisor struct {
	sink    Sink
	log     *slog.Logger
	drivers map[string]Driver // by name
	things  map[string]*thing // those with a driver
}

// New is a Supervisor of the things that have a driver (Thing.Driver), and of
// the drivers, by name: a bus's is called as the bus is. It starts nothing. A
// nil log discards.
func New(things Things, drivers map[string]Driver, sink Sink, log *slog.Logger) (*Supervisor, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	s := &Supervisor{sink: sink, log: log, drivers: drivers, things: map[string]*thing{}}
	for name, cfg := range things {
		if cfg.Driver() == "" {
			continue
		}
		driver := drivers[cfg.Driver()]
		if driver == nil {
			return nil, fmt.Errorf("thing %s: no driver %s", name, cfg.Driver())
		}
		s.things[name] = newThing(name, cfg, driver, log.With("thing", name))
	}
	return s, nil
}

// Run runs all drivers until ctx ends, and returns nil when all have ended.
func (s *Supervisor) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	for _, t := range s.things {
		t.start(time.Now())
		wg.Go(func() { t.reporter(ctx, s.sink) })
		wg.Go(func() { t.writer(ctx) })
	}
	for name, d := range s.drivers {
		wg.Go(func() { s.keep(ctx, name, d) })
	}
	wg.Wait()
	return nil
}

// keep runs one driver and starts it again whenever it fails.
func (s *Supervisor) keep(ctx context.Context, name string, d Driver) {
	rest := &backoff.ExponentialBackOff{
		InitialInterval: restartFirst, MaxInterval: restartMost, Multiplier: 2, RandomizationFactor: 0.5,
	}
	rest.Reset()
	for {
		began := time.Now()
		err := d.Run(ctx, s.emit)
		if ctx.Err() != nil {
			return
		}
		if time.Since(began) >= restartStable {
			rest.Reset()
		}
		wait := rest.NextBackOff()
		s.log.Warn("driver failed", "bus", name, "err", err, "again_in", wait.Round(time.Millisecond))
		if !sleep(ctx, wait) {
			return
		}
	}
}

// emit takes readings; it stores and nudges.
func (s *Supervisor) emit(readings ...Reading) {
	for len(readings) > 0 {
		n := 1
		for n < len(readings) && readings[n].Thing == readings[0].Thing {
			n++
		}
		if t := s.things[readings[0].Thing]; t != nil {
			t.take(time.Now(), readings[:n])
		}
		readings = readings[n:]
	}
}

// Actuate makes desired the state that a thing is to take on; it replaces what
// was desired before, and returns at once. Values that the device holds already
// are not written, nor are keys that are no points. Call it when desired
// changed, and at the start with what is still outstanding: it is kept in
// memory only.
func (s *Supervisor) Actuate(thing, shadow string, desired map[string]any) {
	if t := s.things[thing]; t != nil && shadow == "" {
		t.desire(time.Now(), desired)
	}
}

// ThingStatus is how a wired thing is.
type ThingStatus struct {
	Name       string             `json:"name"`
	Type       string             `json:"type,omitempty"`
	Attributes map[string]string  `json:"attributes,omitempty"`
	Bus        string             `json:"bus"` // the driver: a bus, or what a thing of its own is read by
	Unit       int                `json:"unit"`
	Known      bool               `json:"known"` // false: neither heard nor given up since the start
	Online     bool               `json:"online"`
	Since      time.Time          `json:"since,omitzero"`
	LastSeen   time.Time          `json:"last_seen,omitzero"`
	Quality    map[string]Quality `json:"quality,omitempty"` // of points that are not good
	Refused    map[string]string  `json:"refused,omitempty"` // why a desired value is not taken
	Unreported int                `json:"unreported"`        // values that the sink does not have yet
}

// Things are all wired things, by name.
func (s *Supervisor) Things() []ThingStatus {
	list := make([]ThingStatus, 0, len(s.things))
	for _, name := range slices.Sorted(maps.Keys(s.things)) {
		list = append(list, s.things[name].status(time.Now()))
	}
	return list
}

// Stats is what each bus did since the start, by name.
func (s *Supervisor) Stats() []BusStats {
	list := make([]BusStats, 0, len(s.drivers))
	for name, d := range s.drivers {
		stats := d.Stats()
		stats.Bus = name
		list = append(list, stats)
	}
	slices.SortFunc(list, func(a, b BusStats) int { return cmp.Compare(a.Bus, b.Bus) })
	return list
}

// sleep waits and says whether it slept to the end.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// nudge wakes the loop that waits on c; one that is awake looks again anyway.
func nudge(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
