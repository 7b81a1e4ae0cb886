package modbus

import (
	"context"
	"fmt"
	"time"

	"edgeshadow/adapters"
)

// write is a command in the queue.
type write struct {
	point   *point
	command adapters.Command
	done    chan outcome // capacity 1
}

type outcome struct {
	reading adapters.Reading
	err     error
}

// Fit is what a point would read after value was written: rounded to what its
// registers hold.
func (b *Bus) Fit(thing, path string, value any) (any, error) {
	p := b.points[pointKey{thing, path}]
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

// Write queues a command before everything else, and waits for it.
func (b *Bus) Write(ctx context.Context, c adapters.Command) (adapters.Reading, error) {
	p := b.points[pointKey{c.Thing, c.Path}]
	if p == nil {
		return adapters.Reading{}, fmt.Errorf("no point %s of %s", c.Path, c.Thing)
	}
	w := &write{point: p, command: c, done: make(chan outcome, 1)}
	b.mu.Lock()
	if !b.running {
		b.mu.Unlock()
		return adapters.Reading{}, errDown
	}
	p.writing++
	p.writes++
	b.writes = append(b.writes, w)
	b.mu.Unlock()
	select {
	case b.nudge <- struct{}{}:
	default:
	}
	select {
	case <-ctx.Done():
		return adapters.Reading{}, ctx.Err()
	case o := <-w.done:
		return o.reading, o.err
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

// perform writes and reads back: a delta closes on the device's word.
func (b *Bus) perform(w *write) {
	var o outcome
	o.reading, o.err = b.writeAndRead(w)
	if code, ok := exceptionCode(o.err); ok {
		o.err = &adapters.RefusedError{
			Reason:  exceptionText(code),
			Lasting: code == illegalFunction || code == illegalAddress || code == illegalValue,
		}
	}
	b.mu.Lock()
	w.point.writing--
	w.point.writes++
	b.mu.Unlock()
	w.done <- o
}

func (b *Bus) writeAndRead(w *write) (adapters.Reading, error) {
	if w.command.ReadFirst {
		r, err := b.readPoint(w.point)
		if err != nil || r.Quality.HasValue() && r.Value == w.command.Value {
			return r, err
		}
	}
	words, err := w.point.codec.encode(w.command.Value)
	if err != nil {
		return adapters.Reading{}, &adapters.RefusedError{Reason: err.Error(), Lasting: true}
	}
	err = w.point.unit.client.write(w.point, words)
	b.account(w.point.unit, err, time.Now())
	if err != nil {
		return adapters.Reading{}, err
	}
	return b.readPoint(w.point)
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

// writesOf notes the writes of points before a poll.
func (b *Bus) writesOf(points []*point) []uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := make([]uint64, len(points))
	for i, p := range points {
		out[i] = p.writes
	}
	return out
}

// overtaken tells whether a write came between the begin of a poll and now.
func (b *Bus) overtaken(p *point, before uint64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return p.writing > 0 || p.writes != before
}
