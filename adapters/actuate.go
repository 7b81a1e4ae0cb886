package adapters

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"
)

const (
	// maxRefusals is how often a device may say no to a value before it is
	// believed, when its no may pass (busy).
	maxRefusals = 3
	// retryFirst and retryMost bound the pause before a write is tried again.
	retryFirst = time.Second
	retryMost  = time.Minute
	// eagerRetries is how often a write that got no answer is tried again at
	// once when the device is heard. After that only time does: a device that
	// answers reads and not writes must not be asked after each poll.
	eagerRetries = 3
	// maxLooks is how often a value that is too old to be written waits for a
	// poll to show whether the device holds it.
	maxLooks = 3
	// expiredLook is how soon one that is asked for again is found, when it was
	// too old and its value is the same.
	expiredLook = 5 * time.Second
)

type wantState int

const (
	open wantState = iota // to be written
	done                  // the device has spoken
	refused
)

// want is one desired value on its way to a device. A newer one replaces it,
// so that the pointer tells whether an outcome still concerns anybody.
type want struct {
	asked   any           // as desired says it
	since   time.Duration // when, as Ages has it; of a point with a max_age
	value   any           // what the device is to hold: clamped and fitted
	clamped bool

	state    wantState
	reason   string // why it is not taken, or not yet
	held     any    // what the device held when it was done
	refusals int
	silences int       // attempts without an answer
	looks    int       // waits of one that is too old
	expired  bool      // it was refused because it is
	next     time.Time // no attempt before
}

// scalar is value when it can be compared, and its description otherwise.
func scalar(value any) any {
	switch value.(type) {
	case map[string]any, []any:
		return Describe(value)
	}
	return value
}

// desire makes a thing want what desired says of its points.
func (t *thing) desire(desired map[string]any, anew []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.want(desired, anew)
}

// want is desire. t.mu is held.
func (t *thing) want(desired map[string]any, anew []string) {
	t.desired = desired
	t.load()
	for path, p := range t.points {
		value, ok := lookup(desired, path)
		if !ok || value == nil {
			delete(t.wants, path)
			t.forget(path)
			continue
		}
		w := t.wants[path]
		again := w != nil && w.state == refused && slices.Contains(anew, path)
		if again {
			t.forget(path)
		}
		if w == nil || w.asked != scalar(value) || again {
			t.wants[path] = t.newWant(path, p, value)
			t.date(path, p, t.wants[path])
		} else if w.state == done && p.value != w.value && p.value != w.held {
			t.reopen(w) // it is desired anew, and the device has moved since
		}
	}
	nudge(t.write)
	nudge(t.report)
}

// reopen makes a want that was done one that is to be looked at.
func (t *thing) reopen(w *want) {
	*w = want{asked: w.asked, since: w.since, value: w.value, clamped: w.clamped}
}

func (t *thing) newWant(path string, p *point, value any) *want {
	w := &want{asked: scalar(value)}
	if !p.cfg.Write {
		w.state, w.reason = refused, "read only: the point has no write: true"
		return w
	}
	w.value, w.clamped = p.cfg.Clamp(value)
	if err := p.cfg.checkStep(value); err != nil && !w.clamped {
		w.state, w.reason = refused, err.Error()
		return w
	}
	fitted, err := t.driver.Fit(t.name, path, w.value)
	if err != nil {
		w.state, w.reason = refused, err.Error()
		return w
	}
	w.value = fitted
	return w
}

// refusals say why desired values are not taken. t.mu is held.
func (t *thing) refusals() map[string]string {
	out := map[string]string{}
	for path, w := range t.wants {
		if w.reason != "" {
			out[path] = w.reason
		}
	}
	return out
}

// retryNow makes open wants due that wait for the device to be heard; back says
// that it was offline: then what it was once given is looked at again too, for
// it may have restarted with other values. t.mu is held.
func (t *thing) retryNow(now time.Time, back bool) {
	if back {
		nudge(t.write) // what was asked for meanwhile was never tried
	}
	for _, w := range t.wants {
		if back && w.state == done {
			t.reopen(w)
			continue
		}
		if w.state != open || w.silences == 0 || w.refusals > 0 {
			continue
		}
		if back {
			w.silences = 0
		}
		if back || w.silences < eagerRetries && w.next.After(now) {
			w.next = now
			nudge(t.write)
		}
	}
}

// writer writes what is wanted, one point after the other, until ctx ends.
func (t *thing) writer(ctx context.Context) {
	for ctx.Err() == nil {
		path, w, wait := t.nextWant(time.Now())
		if w != nil {
			t.fulfil(ctx, path, w)
			continue
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-t.write:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// nextWant is a want that is due, or how long there is none. Nothing is due of
// a thing that is offline: it is retried when it comes back.
func (t *thing) nextWant(now time.Time) (path string, w *want, wait time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	wait = retryMost
	if t.known && !t.online {
		return "", nil, wait
	}
	if t.askedAgain() {
		wait = expiredLook
	}
	for _, path := range slices.Sorted(maps.Keys(t.wants)) {
		w := t.wants[path]
		if w.state != open {
			continue
		}
		if !w.next.After(now) {
			return path, w, 0
		}
		wait = min(wait, w.next.Sub(now))
	}
	return "", nil, wait
}

// fulfil has the driver write one value, unless the device holds it.
func (t *thing) fulfil(ctx context.Context, path string, w *want) {
	t.mu.Lock()
	now, p := time.Now(), t.points[path]
	command := Command{Thing: t.name, Path: path, Value: w.value, ReadFirst: !t.fresh(p, now)}
	if !command.ReadFirst && p.value == w.value {
		w.state, w.held = done, p.value
		if p.worthReporting(now, true) {
			t.urgent = true
			t.toReport(now, p)
		}
		nudge(t.report)
		t.mu.Unlock()
		return
	}
	if t.tooOld(p, w) {
		t.expire(now, path, p, w)
		t.mu.Unlock()
		return
	}
	t.mu.Unlock()

	r, err := t.driver.Write(ctx, command)
	if ctx.Err() != nil {
		return
	}

	t.mu.Lock()
	defer t.mu.Unlock()
	now = time.Now()
	if err == nil {
		t.takeOne(now, r, true)
	}
	w.settle(now, r, err)
	if err == nil {
		t.counters.Writes++
	} else {
		t.counters.Refused++
	}
	switch {
	case err != nil:
		t.log.Warn("write", "point", path, "value", w.value, "err", err, "again", w.state == open)
	case w.reason != "":
		t.log.Warn("write", "point", path, "value", w.value, "holds", r.Value)
	default:
		t.log.Debug("written", "point", path, "value", w.value)
	}
	nudge(t.report)
}

// confirm takes back that the device holds something else than what it was
// given, when a later reading shows it.
func (w *want) confirm(value any) {
	if w != nil && w.state == done && value == w.value {
		w.held, w.reason = value, ""
	}
}

// settle notes how an attempt ended.
func (w *want) settle(now time.Time, r Reading, err error) {
	var no *RefusedError
	switch {
	case err == nil:
		w.state, w.held, w.reason = done, r.Value, ""
		if r.Value != w.value {
			w.reason = "the device holds " + Describe(r.Value) + " after " + Describe(w.value) + " was written"
		}
	case errors.As(err, &no):
		w.refusals++
		w.next = now.Add(min(retryMost, retryFirst<<min(w.refusals-1, 6)))
		if no.Lasting || w.refusals >= maxRefusals {
			w.state, w.reason = refused, no.Reason
		}
	default:
		w.silences++
		w.next = now.Add(min(retryMost, retryFirst<<min(w.silences-1, 6)))
		if w.silences >= eagerRetries {
			w.reason = "no answer to the write; it is tried again"
		}
	}
}
