package bridge

import (
	"context"
	"maps"
	"time"

	"edgeshadow/localshadow/shadow"
)

// verifyEvery is the least time between two comparisons of a thing that are asked
// for: each comes before what waits to be pushed, and whoever asks in a loop
// would have nothing pushed any more.
const verifyEvery = 2 * time.Second

// Verify compares the shadows of a thing with the cloud now, whatever they wait
// for, and returns how they stand when all are compared, or when ctx ends.
func (r *Reconciler) Verify(ctx context.Context, thing string) ([]ShadowStatus, error) {
	of := func(id shadow.ID, _ rest) bool { return id.Thing == thing }
	asked := time.Now()
	for {
		wait, err := r.verify(thing, asked)
		switch {
		case err != nil:
			return nil, err
		case wait == 0:
			r.compared(ctx, thing)
			return r.statuses(of)
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return r.statuses(of)
		}
	}
}

// verify begins a comparison, unless one began since it was asked for. Wait is
// how long none may begin.
func (r *Reconciler) verify(thing string, asked time.Time) (wait time.Duration, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.book.known[thing] {
		return 0, shadow.NotFound(shadow.ID{Thing: thing})
	}
	now, last := time.Now(), r.verified[thing]
	if last.After(asked) {
		return 0, nil
	}
	if wait := verifyEvery - now.Sub(last); wait > 0 {
		return wait, nil
	}
	maps.DeleteFunc(r.verified, func(_ string, last time.Time) bool { return now.Sub(last) >= verifyEvery })
	r.verified[thing] = now
	for _, id := range r.book.ring {
		if id.Thing != thing {
			continue
		}
		w := r.book.work(id)
		w.flags |= doubt
		if w.request == nil {
			w.needGet, w.wake, w.paused, w.state = true, time.Time{}, false, ""
		}
		r.enqueue(id, command)
	}
	r.poke()
	return 0, nil
}

// compared waits until no shadow of a thing is in doubt.
func (r *Reconciler) compared(ctx context.Context, thing string) {
	for {
		r.mu.Lock()
		turned, waiting := r.turned, false
		for id := range r.book.all {
			waiting = waiting || id.Thing == thing && r.book.peek(id).flags&doubt != 0
		}
		r.mu.Unlock()
		if !waiting {
			return
		}
		select {
		case <-turned:
		case <-ctx.Done():
			return
		}
	}
}
