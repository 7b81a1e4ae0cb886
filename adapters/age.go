package adapters

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"time"
)

// Ages tells how old what is desired is. No wall clock has a part in it: a
// gateway without one that is right must not open a valve because of a command
// of last week.
type Ages interface {
	// Age is for how long the gateway has been running in all its life.
	Age() time.Duration
	// Asked is how old a desired value was when it came to this gateway, by the
	// clock of who was asked for it, and what that clock said then. Both are 0
	// when nobody knows. Another stamp is another command.
	Asked(thing, path string, value any) (age time.Duration, stamp int64)
	// Load is what Save kept of a thing.
	Load(thing string) (map[string]Asked, error)
	// Save keeps what is desired of a thing, by point, over a restart.
	Save(ctx context.Context, thing string, asked map[string]Asked) error
}

// Asked is a value that is desired, and since when.
type Asked struct {
	Value json.RawMessage `json:"value"`
	// Since is Ages.Age when it was asked for; before the gateway's first start
	// it is negative.
	Since time.Duration `json:"since"`
	Stamp int64         `json:"stamp,omitempty"` // of Ages.Asked
}

// memory is Ages of a gateway that remembers nothing.
type memory struct{ began time.Time }

func (m memory) Age() time.Duration                                 { return time.Since(m.began) }
func (memory) Asked(string, string, any) (time.Duration, int64)     { return 0, 0 }
func (memory) Load(string) (map[string]Asked, error)                { return nil, nil }
func (memory) Save(context.Context, string, map[string]Asked) error { return nil }

// Waits says whether a value is desired whose age matters.
func (s *Supervisor) Waits() bool {
	for _, t := range s.set.Load().things {
		t.mu.Lock()
		waits := len(t.asked) > 0
		t.mu.Unlock()
		if waits {
			return true
		}
	}
	return false
}

// maxAge is how old a value may be that is written to p; 0: any.
func (t *thing) maxAge(p *point) time.Duration {
	if p.cfg.MaxAge != 0 {
		return p.cfg.MaxAge
	}
	return t.cfg.MaxAge
}

// load reads what an earlier run kept, once. t.mu is held.
func (t *thing) load() {
	if t.asked != nil {
		return
	}
	t.asked = map[string]Asked{}
	for _, p := range t.points {
		if t.maxAge(p) == 0 {
			continue
		}
		kept, err := t.owner.Ages.Load(t.name)
		if err != nil {
			t.log.Warn("since when its values are desired is not known; they count as new", "err", err)
		}
		maps.Copy(t.asked, kept)
		return
	}
}

// date says since when w is desired: as long as an earlier run has noted the
// same value. t.mu is held.
func (t *thing) date(path string, p *point, w *want) {
	if t.maxAge(p) == 0 || w.state == refused {
		return
	}
	value, _ := json.Marshal(w.asked) // a scalar, or the description of what is none
	age, stamp := t.owner.Ages.Asked(t.name, path, w.asked)
	a, known := t.asked[path]
	switch {
	case !known || !bytes.Equal(a.Value, value) || a.anotherThan(stamp):
		a = Asked{value, t.owner.Ages.Age() - max(0, age), stamp}
	case a.Stamp == 0 && stamp != 0: // it was asked for here, and the cloud has it now
		a.Stamp = stamp
	default:
		w.since = a.Since
		return
	}
	w.since, t.asked[path], t.unsaved = a.Since, a, true
}

// anotherThan says whether a command with this stamp is another one.
func (a Asked) anotherThan(stamp int64) bool { return a.Stamp != 0 && stamp != 0 && a.Stamp != stamp }

// askedAgain makes wants of those that were too old and are asked for again,
// with the same value, so that nothing but the stamp tells. It says whether
// there are any that were too old. t.mu is held.
func (t *thing) askedAgain() (some bool) {
	for path, w := range t.wants {
		if !w.expired {
			continue
		}
		some = true
		if _, stamp := t.owner.Ages.Asked(t.name, path, w.asked); t.asked[path].anotherThan(stamp) {
			value, _ := lookup(t.desired, path)
			t.wants[path] = t.newWant(path, t.points[path], value)
			t.date(path, t.points[path], t.wants[path])
			nudge(t.report)
		}
	}
	return some
}

// forget takes out since when a point's value is desired. t.mu is held.
func (t *thing) forget(path string) {
	if _, known := t.asked[path]; known {
		delete(t.asked, path)
		t.unsaved = true
	}
}

// tooOld says whether a want has waited for longer than its point allows.
func (t *thing) tooOld(p *point, w *want) bool {
	most := t.maxAge(p)
	return most > 0 && t.owner.Ages.Age()-w.since > most
}

// expire ends a want that is too old to be written. Whether the device holds
// the value all the same is for polls to say, for a while. t.mu is held.
func (t *thing) expire(now time.Time, path string, p *point, w *want) {
	if !t.fresh(p, now) && w.looks < maxLooks {
		w.looks++
		w.next = now.Add(max(p.every, retryFirst))
		return
	}
	age := t.owner.Ages.Age() - w.since
	w.state, w.expired = refused, true
	w.reason = fmt.Sprintf("not executed: it was %s old when the device could take it, and max_age is %s", age.Round(time.Second), t.maxAge(p))
	t.counters.Refused++
	t.log.Warn("write", "point", path, "value", w.value, "refused", w.reason)
	nudge(t.report)
}

// save keeps since when things are desired, when that changed.
func (t *thing) save(ctx context.Context) error {
	t.mu.Lock()
	if !t.unsaved {
		t.mu.Unlock()
		return nil
	}
	t.unsaved = false
	asked := maps.Clone(t.asked)
	t.mu.Unlock()
	if err := t.owner.Ages.Save(ctx, t.name, asked); err != nil {
		t.mu.Lock()
		t.unsaved = true
		t.mu.Unlock()
		return fmt.Errorf("keep since when values are desired: %w", err)
	}
	return nil
}
