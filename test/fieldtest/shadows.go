// Package fieldtest records what drivers read and what the supervisor reports,
// and waits for it. Its types may be used from many goroutines; their zero values
// are ready.
package fieldtest

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"testing"

	"edgeshadow/adapters"
)

// Shadows is a Sink that holds what was reported.
type Shadows struct {
	watched
	docs    map[string]map[string]any // by thing/shadow
	reports map[string]int
	err     error
}

// Report merges what is reported into a document, as a shadow would.
func (s *Shadows) Report(_ context.Context, thing, shadow string, reported map[string]any) error {
	defer s.lock()()
	if s.err != nil {
		return s.err
	}
	if s.docs == nil {
		s.docs, s.reports = map[string]map[string]any{}, map[string]int{}
	}
	key := thing + "/" + shadow
	if s.docs[key] == nil {
		s.docs[key] = map[string]any{}
	}
	merge(s.docs[key], reported)
	s.reports[key]++
	s.changed.Broadcast()
	return nil
}

// merge replaces objects on its way: a document that was handed out stays as it is.
func merge(into, from map[string]any) {
	for k, v := range from {
		below, object := v.(map[string]any)
		switch {
		case v == nil:
			delete(into, k)
		case object:
			at, _ := into[k].(map[string]any)
			if at = maps.Clone(at); at == nil {
				at = map[string]any{}
			}
			into[k] = at
			merge(at, below)
		default:
			into[k] = v
		}
	}
}

// Fail makes reports fail; nil: no longer.
func (s *Shadows) Fail(err error) {
	defer s.lock()()
	s.err = err
}

// Get is what was reported of a shadow.
func (s *Shadows) Get(thing, shadow string) map[string]any {
	defer s.lock()()
	return maps.Clone(s.docs[thing+"/"+shadow])
}

// Forget is a shadow that somebody deleted.
func (s *Shadows) Forget(thing, shadow string) {
	defer s.lock()()
	delete(s.docs, thing+"/"+shadow)
}

// Reports is how often a shadow was reported to.
func (s *Shadows) Reports(thing, shadow string) int {
	defer s.lock()()
	return s.reports[thing+"/"+shadow]
}

// Await waits until a shadow is as it should be.
func (s *Shadows) Await(tb testing.TB, thing, shadow, what string, is func(doc map[string]any) bool) map[string]any {
	tb.Helper()
	key := thing + "/" + shadow
	s.await(tb, key+": "+what, func() bool { return is(s.docs[key]) }, func() any { return s.docs[key] })
	return s.Get(thing, shadow)
}

// AwaitValue waits until a thing reports a value.
func (s *Shadows) AwaitValue(tb testing.TB, thing, path string, want any) {
	tb.Helper()
	s.Await(tb, thing, "", fmt.Sprintf("%s = %v", path, want), func(doc map[string]any) bool { return doc[path] == want })
}

// AwaitOnline waits until a thing is told to be online, or not.
func (s *Shadows) AwaitOnline(tb testing.TB, thing string, online bool) map[string]any {
	tb.Helper()
	return s.Await(tb, thing, adapters.ConnectivityShadow, fmt.Sprint("online = ", online),
		func(doc map[string]any) bool { return doc["online"] == online })
}

// watched is what can be waited for.
type watched struct {
	mu      sync.Mutex
	changed sync.Cond
}

// lock returns what unlocks.
func (w *watched) lock() func() {
	w.mu.Lock()
	w.changed.L = &w.mu
	return w.mu.Unlock
}

// await looks whenever something changed; have is for the text of a failure.
func (w *watched) await(tb testing.TB, what string, is func() bool, have func() any) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), patience)
	defer cancel()
	defer context.AfterFunc(ctx, func() {
		defer w.lock()()
		w.changed.Broadcast()
	})()
	defer w.lock()()
	for !is() {
		if ctx.Err() != nil {
			tb.Fatalf("not in %s: %s; there is %+v", patience, what, have())
		}
		w.changed.Wait()
	}
}
