package fieldtest

import (
	"fmt"
	"testing"
	"time"

	"edgeshadow/adapters"
)

// patience is how long is waited for what is to come at once.
const patience = 20 * time.Second

// Readings are what a driver emitted.
type Readings struct {
	watched
	last  map[string]adapters.Reading // by thing/path
	count map[string]int
}

// Emit is what a driver is given to emit with.
func (r *Readings) Emit(list ...adapters.Reading) {
	defer r.lock()()
	if r.last == nil {
		r.last, r.count = map[string]adapters.Reading{}, map[string]int{}
	}
	for _, reading := range list {
		key := reading.Thing + "/" + reading.Path
		r.last[key] = reading
		r.count[key]++
	}
	r.changed.Broadcast()
}

// Await waits until the last readings, by thing/path, are as they should be.
func (r *Readings) Await(tb testing.TB, what string, is func(last map[string]adapters.Reading) bool) {
	tb.Helper()
	r.await(tb, what, func() bool { return is(r.last) }, func() any { return r.last })
}

// AwaitValue waits until a point was read and has a value, or with nil none.
func (r *Readings) AwaitValue(tb testing.TB, key string, value any) (found adapters.Reading) {
	tb.Helper()
	r.Await(tb, fmt.Sprintf("%s = %v", key, value), func(last map[string]adapters.Reading) (ok bool) {
		found, ok = last[key]
		return ok && found.Value == value
	})
	return found
}

// Times is how often a point was read.
func (r *Readings) Times(key string) int {
	defer r.lock()()
	return r.count[key]
}

// Await looks again and again, for what nobody tells.
func Await(tb testing.TB, what string, look func() bool) {
	tb.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.After(patience); !look(); {
		select {
		case <-end:
			tb.Fatalf("not in %s: %s", patience, what)
		case <-tick.C:
		}
	}
}
