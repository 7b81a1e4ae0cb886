package adapters_test

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"edgeshadow/adapters"
	"edgeshadow/test/fieldtest"
)

// field is a driver of devices that are held in memory. Tests feed readings and
// say how writes end.
type field struct {
	mu     sync.Mutex
	emit   func(...adapters.Reading)
	fails  int                // how often Run still fails
	starts int                // how often Run was called
	held   map[string]any     // what the devices hold, by point
	writes []adapters.Command // that arrived
	refuse error              // how writes end, when set
}

func (f *field) Run(ctx context.Context, emit func(...adapters.Reading)) error {
	f.mu.Lock()
	f.starts++
	if f.fails > 0 {
		f.fails--
		f.mu.Unlock()
		return errors.New("the line is gone")
	}
	f.emit = emit
	f.mu.Unlock()
	<-ctx.Done()
	return nil
}

func (f *field) Fit(_, path string, value any) (any, error) {
	if _, ok := value.(bool); ok && path == "setpoint" {
		return nil, errors.New("want a number, have " + adapters.Describe(value))
	}
	return value, nil
}

func (f *field) Write(_ context.Context, c adapters.Command) (adapters.Reading, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.writes = append(f.writes, c)
	if f.refuse != nil {
		return adapters.Reading{}, f.refuse
	}
	if f.held == nil {
		f.held = map[string]any{}
	}
	f.held[c.Path] = c.Value
	return adapters.Reading{Thing: c.Thing, Path: c.Path, Value: c.Value, Quality: adapters.Good, Time: time.Now()}, nil
}

func (f *field) Stats() adapters.BusStats { return adapters.BusStats{Type: "test"} }

// read has the device say something good.
func (f *field) read(thing, path string, value any) {
	f.say(adapters.Reading{Thing: thing, Path: path, Value: value, Quality: adapters.Good, Time: time.Now()})
}

func (f *field) say(readings ...adapters.Reading) {
	f.mu.Lock()
	emit := f.emit
	f.mu.Unlock()
	emit(readings...)
}

func (f *field) written() []adapters.Command {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]adapters.Command(nil), f.writes...)
}

// run runs a Supervisor in a bubble of its own time, and body beside it.
func run(t *testing.T, things adapters.Things, body func(*adapters.Supervisor, *field, *fieldtest.Shadows)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		f, s := &field{}, &fieldtest.Shadows{}
		v, err := adapters.New(things, map[string]adapters.Driver{"line": f}, s, nil)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := v.Run(ctx); err != nil {
				t.Error(err)
			}
		})
		defer func() { cancel(); wg.Wait() }()
		synctest.Wait()
		body(v, f, s)
	})
}

func decimal(tb testing.TB, text string) *adapters.Decimal {
	tb.Helper()
	d, err := adapters.ParseDecimal(text)
	if err != nil {
		tb.Fatal(err)
	}
	return &d
}

func deadband(tb testing.TB, text string) *adapters.Deadband {
	tb.Helper()
	var d adapters.Deadband
	if err := d.UnmarshalText([]byte(text)); err != nil {
		tb.Fatal(err)
	}
	return &d
}

func num(text string) json.Number { return json.Number(text) }
