package adapters

import (
	"context"
	"fmt"
	"log/slog"
	"reflect"
	"sync"
	"sync/atomic"
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
	// Ages is for points with a max_age. Set it before the first Actuate; as it
	// is, ages begin anew with each start.
	Ages Ages

	sink    Sink
	log     *slog.Logger
	changed chan struct{} // capacity 1: there is another set to run
	set     atomic.Pointer[set]
}

// set is what a Supervisor runs. It does not change; another takes its place.
type set struct {
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
	s := &Supervisor{Ages: memory{time.Now()}, sink: sink, log: log, changed: make(chan struct{}, 1)}
	s.set.Store(&set{})
	commit, _, err := s.Prepare(things, drivers)
	if err != nil {
		return nil, err
	}
	commit()
	return s, nil
}

// Prepare makes the set of another configuration ready; commit has Run run it.
// A thing that did not change, and whose driver is the same value as before,
// goes on untouched, and so does such a driver. One that did change keeps what
// is known of it and what is desired of it. A driver that is gone has ended
// before one that is new begins: they may share a port.
func (s *Supervisor) Prepare(things Things, drivers map[string]Driver) (commit, discard func(), err error) {
	was, next := s.set.Load(), &set{drivers: drivers, things: map[string]*thing{}}
	for name, cfg := range things {
		if cfg.Driver() == "" {
			continue
		}
		driver := drivers[cfg.Driver()]
		if driver == nil {
			return nil, nil, fmt.Errorf("thing %s: no driver %s", name, cfg.Driver())
		}
		if t := was.things[name]; t != nil && t.driver == driver && reflect.DeepEqual(t.cfg, cfg) {
			next.things[name] = t
			continue
		}
		next.things[name] = newThing(name, cfg, driver, s, s.log.With("thing", name))
	}
	commit = func() {
		for name, t := range next.things {
			if old := was.things[name]; old != nil && old != t {
				t.inherit(old)
			}
		}
		s.set.Store(next)
		nudge(s.changed)
	}
	return commit, func() {}, nil
}

// task is something that Run started.
type task struct {
	cancel context.CancelFunc
	done   sync.WaitGroup
}

// Run runs all drivers until ctx ends, and returns nil when all have ended.
func (s *Supervisor) Run(ctx context.Context) error {
	tasks := map[any]*task{} // by driver and by thing
	for {
		s.follow(ctx, tasks)
		select {
		case <-ctx.Done():
			for _, t := range tasks {
				t.done.Wait()
			}
			return nil
		case <-s.changed:
		}
	}
}

// follow makes what runs the set that is to run.
func (s *Supervisor) follow(ctx context.Context, tasks map[any]*task) {
	now := s.set.Load()
	start := map[any][]func(context.Context){}
	for name, d := range now.drivers {
		start[d] = append(start[d], func(ctx context.Context) { s.keep(ctx, name, d) })
	}
	for _, t := range now.things {
		start[t] = append(start[t], func(ctx context.Context) { t.reporter(ctx, s.sink) }, t.writer)
	}
	var ending []*task
	for key, t := range tasks {
		if start[key] == nil {
			t.cancel()
			delete(tasks, key)
			ending = append(ending, t)
		}
	}
	for _, t := range ending {
		t.done.Wait()
	}
	for key, parts := range start {
		if tasks[key] != nil {
			continue
		}
		if t, ok := key.(*thing); ok {
			t.start(time.Now())
		}
		own, cancel := context.WithCancel(ctx)
		t := &task{cancel: cancel}
		for _, part := range parts {
			t.done.Go(func() { part(own) })
		}
		tasks[key] = t
	}
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
		if t := s.set.Load().things[readings[0].Thing]; t != nil {
			t.take(time.Now(), readings[:n])
		}
		readings = readings[n:]
	}
}

// Actuate makes desired the state that a thing is to take on; it replaces what
// was desired before, and returns at once. Values that the device holds already
// are not written, nor are keys that are no points. Call it when desired
// changed, and at the start with what is still outstanding: it is kept in
// memory only. Anew are the points whose value was asked for again: one that was
// refused is tried once more.
func (s *Supervisor) Actuate(thing, shadow string, desired map[string]any, anew ...string) {
	if t := s.set.Load().things[thing]; t != nil && shadow == "" {
		t.desire(desired, anew)
	}
}

// Reported tells what changed in state.reported of a shadow, by whomever: the
// values that are there now, as Actuate has them, and nil where there is none any
// more. What a device said and its shadow no longer says is reported again with
// the device's next word.
func (s *Supervisor) Reported(thing, shadow string, altered map[string]any) {
	if t := s.set.Load().things[thing]; t != nil {
		t.reported(shadow, altered)
	}
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
