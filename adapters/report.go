package adapters

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"
)

const (
	// reportFirst and reportMost bound how long a failed Report rests.
	reportFirst = 100 * time.Millisecond
	reportMost  = 10 * time.Second
)

// toReport marks the value of p as one that the sink is to have. t.mu is held.
func (t *thing) toReport(now time.Time, p *point) {
	if t.pending[p.shadow] == nil {
		t.pending[p.shadow] = map[string]any{}
	}
	t.pending[p.shadow][p.path] = p.value
	p.sent, p.sentAt = p.value, now
}

// reported forgets that values were reported which a shadow no longer has.
func (t *thing) reported(shadow string, altered map[string]any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if shadow == ConnectivityShadow {
		if online, changed := altered["online"]; changed && online == nil {
			t.told = told{}
			t.untold++
			nudge(t.report)
		}
		return
	}
	for path, p := range t.points {
		if _, waits := t.pending[shadow][path]; waits || p.shadow != shadow || p.sent == nil {
			continue
		}
		if value, changed := change(altered, path); changed && value != p.sent {
			p.sent = nil
		}
	}
}

// change is what altered says of a dotted name: nil, too, where what it is part
// of is gone or is no object any more.
func change(altered map[string]any, path string) (value any, changed bool) {
	for {
		key, rest, more := strings.Cut(path, ".")
		v, changed := altered[key]
		if !changed || !more {
			return v, changed
		}
		below, isObject := v.(map[string]any)
		if !isObject {
			return nil, true
		}
		altered, path = below, rest
	}
}

// reporter gives the sink what is pending, one Report at a time, until ctx ends.
// What comes meanwhile waits and is reported together.
func (t *thing) reporter(ctx context.Context, sink Sink) {
	rest := &backoff.ExponentialBackOff{
		InitialInterval: reportFirst, MaxInterval: reportMost, Multiplier: 2, RandomizationFactor: 0.5,
	}
	rest.Reset()
	failures := 0
	for {
		err := t.reportAll(ctx, sink)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			if failures++; failures == 1 {
				t.log.Warn("report failed; the latest values are kept and tried again", "err", err)
			}
			if !sleep(ctx, rest.NextBackOff()) {
				return
			}
			continue
		case failures > 0:
			t.log.Info("reported again", "failures", failures)
			failures = 0
			rest.Reset()
		}
		timer := time.NewTimer(t.untilNext(time.Now()))
		select {
		case <-ctx.Done():
		case <-t.report:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// reportAll reports what is pending, and then what is to be told of the thing
// itself.
func (t *thing) reportAll(ctx context.Context, sink Sink) error {
	t.mu.Lock()
	var taken map[string]map[string]any
	if now := time.Now(); len(t.pending) > 0 && !t.reportAt(now).After(now) {
		taken, t.pending = t.pending, map[string]map[string]any{}
		t.urgent, t.paced = false, now
	}
	t.mu.Unlock()
	for _, shadow := range slices.Sorted(maps.Keys(taken)) {
		if err := sink.Report(ctx, t.name, shadow, nest(taken[shadow])); err != nil {
			t.putBack(taken)
			return err
		}
		delete(taken, shadow)
	}
	if err := t.save(ctx); err != nil {
		return err
	}
	return t.tell(ctx, sink)
}

// reportAt is when what is pending is to be reported. t.mu is held.
func (t *thing) reportAt(now time.Time) time.Time {
	if t.urgent {
		return now
	}
	return t.paced.Add(t.cfg.Pace)
}

func isNumeric(v any) bool {
	_, ok := v.(json.Number)
	return ok
}

// putBack makes values pending again that could not be reported, unless there
// are newer ones.
func (t *thing) putBack(taken map[string]map[string]any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for shadow, values := range taken {
		maps.Copy(values, t.pending[shadow])
		t.pending[shadow] = values
	}
	t.urgent = true // the backoff is its pace
}

// untilNext is how long nothing is to be done if no reading comes.
func (t *thing) untilNext(now time.Time) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	next := t.tellAt(now)
	if len(t.pending) > 0 {
		next = earliest(next, t.reportAt(now))
	}
	if !t.known || t.online {
		next = earliest(next, t.silentAt())
	}
	for _, p := range t.points {
		if p.quality == Good && now.Before(t.staleAt(p)) {
			next = earliest(next, t.staleAt(p))
		}
	}
	return max(next.Sub(now), time.Millisecond)
}

func earliest(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// nest makes objects of dotted names: {"a.b": 1} is {"a": {"b": 1}}.
func nest(values map[string]any) map[string]any {
	out := make(map[string]any, len(values))
	for path, v := range values {
		at := out
		for {
			key, rest, more := strings.Cut(path, ".")
			if !more {
				at[path] = v
				break
			}
			below, ok := at[key].(map[string]any)
			if !ok {
				below = map[string]any{}
				at[key] = below
			}
			at, path = below, rest
		}
	}
	return out
}

// lookup is what stands at a dotted name, the inverse of nest.
func lookup(values map[string]any, path string) (any, bool) {
	for {
		key, rest, more := strings.Cut(path, ".")
		v, ok := values[key]
		if !ok || !more {
			return v, ok
		}
		if values, ok = v.(map[string]any); !ok {
			return nil, false
		}
		path = rest
	}
}
