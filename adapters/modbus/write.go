package modbus

import (
	"context"
	"fmt"
	"slices"
	"time"

	"edgeshadow/adapters"
)

// lookAgain are the pauses between a write and each look at what came of it,
// until the device holds what was written: a controller takes it over at the
// end of its cycle.
var lookAgain = []time.Duration{0, 100 * time.Millisecond, 500 * time.Millisecond}

// write is a command in the queue.
type write struct {
	point   *point
	command adapters.Command
	looks   int          // how often it was read back
	at      time.Time    // not before, when it is to be read back
	done    chan outcome // capacity 1
}

type outcome struct {
	reading adapters.Reading
	err     error
}

// Fit is what a point would read after value was written: rounded to what its
// registers hold.
func (b *Bus) Fit(thing, path string, value any) (any, error) {
	p := b.find(thing, path)
	if p == nil {
		return nil, fmt.Errorf("no point %s of %s", path, thing)
	}
	words, err := p.codec.encode(value)
	if err != nil {
		return nil, err
	}
	fitted, q := p.codec.decode(words)
	if !q.HasValue() {
		return nil, fmt.Errorf("%s can't be held", adapters.Describe(value))
	}
	return fitted, nil
}

func (b *Bus) find(thing, path string) *point {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.points[pointKey{thing, path}]
}

// Write queues a command before everything else, and waits for it.
func (b *Bus) Write(ctx context.Context, c adapters.Command) (adapters.Reading, error) {
	p := b.find(c.Thing, c.Path)
	if p == nil {
		return adapters.Reading{}, fmt.Errorf("no point %s of %s", c.Path, c.Thing)
	}
	w := &write{point: p, command: c, done: make(chan outcome, 1)}
	b.mu.Lock()
	if !b.running {
		b.mu.Unlock()
		return adapters.Reading{}, errDown
	}
	p.touch(1)
	b.writes = append(b.writes, w)
	b.mu.Unlock()
	b.wake()
	select {
	case <-ctx.Done():
		return adapters.Reading{}, ctx.Err()
	case o := <-w.done:
		return o.reading, o.err
	}
}

// touch notes that a write of p begins or ends, for every point that lies where
// p does. Bus.mu is held.
func (p *point) touch(writing int) {
	for _, o := range p.unit.points {
		if o.table == p.table && o.end() > int(p.addr) && int(o.addr) < p.end() {
			o.writing += writing
			o.writes++
		}
	}
}

func (b *Bus) nextWrite() *write {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.writes) == 0 {
		return nil
	}
	w := b.writes[0]
	b.writes = b.writes[1:]
	return w
}

// perform writes. What the device made of it is read when no write waits: a
// delta closes on the device's word.
func (b *Bus) perform(w *write) {
	u := w.point.unit
	if u.breaker.open && !u.breaker.due(time.Now()) {
		b.finish(w, adapters.Reading{}, fmt.Errorf("unit %d: %w", u.id, ErrTimeout)) // it is no probe
		return
	}
	if w.command.ReadFirst {
		r, err := b.readPoint(w.point)
		if err != nil || r.Quality.HasValue() && r.Value == w.command.Value {
			b.finish(w, r, err)
			return
		}
	}
	words, err := w.point.codec.encode(w.command.Value)
	if err != nil {
		b.finish(w, adapters.Reading{}, &adapters.RefusedError{Reason: err.Error(), Lasting: true})
		return
	}
	err = u.client.write(w.point, words)
	b.account(u, err, time.Now())
	if err != nil {
		b.finish(w, adapters.Reading{}, err)
		return
	}
	b.looks = append(b.looks, w)
}

// nextLook takes a write whose time it is to be read back.
func (b *Bus) nextLook(now time.Time) *write {
	i := slices.IndexFunc(b.looks, func(w *write) bool { return !now.Before(w.at) })
	if i < 0 {
		return nil
	}
	w := b.looks[i]
	b.looks = slices.Delete(b.looks, i, i+1)
	return w
}

func (b *Bus) readBack(w *write) {
	r, err := b.readPoint(w.point)
	if w.looks++; err == nil && r.Value != w.command.Value && w.looks < len(lookAgain) {
		w.at = time.Now().Add(lookAgain[w.looks])
		b.looks = append(b.looks, w)
		return
	}
	b.finish(w, r, err)
}

// finish tells who waits for a write how it ended.
func (b *Bus) finish(w *write, r adapters.Reading, err error) {
	if code, ok := exceptionCode(err); ok && !unreachable(code) {
		err = &adapters.RefusedError{
			Reason:  exceptionText(code),
			Lasting: code == illegalFunction || code == illegalAddress || code == illegalValue,
		}
	}
	b.mu.Lock()
	w.point.touch(-1)
	b.mu.Unlock()
	w.done <- outcome{r, err}
}

// readPoint reads one point by itself.
func (b *Bus) readPoint(p *point) (adapters.Reading, error) {
	words, err := p.unit.client.read(request{p.table, p.addr, p.codec.count, []*point{p}}, nil)
	now := time.Now()
	b.account(p.unit, err, now)
	if err != nil {
		return adapters.Reading{}, err
	}
	return p.reading(words, now), nil
}

// writing is what a poll has to know of the writes of a point.
type writing struct {
	writes  uint64
	pending bool
}

// writesOf notes the writes of points: one that came, or is not read back yet,
// is newer than a poll that began before it.
func (b *Bus) writesOf(points []*point) []writing {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := make([]writing, len(points))
	for i, p := range points {
		out[i] = writing{p.writes, p.writing > 0}
	}
	return out
}
