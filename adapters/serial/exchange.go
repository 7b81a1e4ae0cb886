package serial

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"edgeshadow/adapters"
	"edgeshadow/adapters/port"
)

// ackWait is how long a device may take to say something to a command before it
// is asked for the value.
const ackWait = 300 * time.Millisecond

// exchange is what was sent and is not answered yet. There is one at a time: a
// line has one wire each way.
type exchange struct {
	thing    *thing
	poll     *poll  // or
	write    *write // one of them
	deadline time.Time
}

// write is a command under way.
type write struct {
	adapters.Command
	thing *thing // nil until it is begun
	step  step
	held  *value // what was read since the command was sent
	done  chan outcome
}

type step int

const (
	waiting   step = iota // in the queue
	looking               // asked what the device holds
	commanded             // sent; an acknowledgement may come
	asked                 // the value was asked for
)

type outcome struct {
	reading adapters.Reading
	err     error
}

// Fit is what a point would read after value was written.
func (d *Driver) Fit(thing, path string, value any) (any, error) {
	t, c, err := d.command(thing, path)
	if err != nil {
		return nil, err
	}
	return c.send.fit(t.points[path], value)
}

// command finds the command of a point.
func (d *Driver) command(name, path string) (*thing, command, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, t := range d.known {
		if c, ok := t.commands[path]; ok && t.name == name {
			return t, c, nil
		}
	}
	return nil, command{}, fmt.Errorf("no command writes %s", path)
}

// Write sends the command of a point and waits for the device's word.
func (d *Driver) Write(ctx context.Context, c adapters.Command) (adapters.Reading, error) {
	w := &write{Command: c, done: make(chan outcome, 1)}
	d.mu.Lock()
	if !d.running || !d.stats.Connected {
		d.mu.Unlock()
		return adapters.Reading{}, errDown
	}
	d.writes = append(d.writes, w)
	d.mu.Unlock()
	select {
	case o := <-w.done:
		return o.reading, o.err
	case <-ctx.Done():
		return adapters.Reading{}, ctx.Err()
	}
}

// send sends what is next, when nothing is under way: commands first, then the
// poll that has waited longest.
func (d *Driver) send(p *port.Port, now time.Time, emit func(...adapters.Reading)) error {
	if w := d.underWay(); w != nil && w.step == commanded && !now.Before(d.exchange.deadline) {
		return d.ask(p, now, w, asked) // nothing was said to the command; ask all the same
	}
	if d.exchange != nil {
		return nil
	}
	if w := d.nextWrite(); w != nil {
		return d.begin(p, now, w)
	}
	var next *poll
	var of *thing
	for _, t := range d.things {
		for _, q := range t.polls {
			if !q.due.After(now) && (next == nil || q.due.Before(next.due)) {
				next, of = q, t
			}
		}
	}
	if next == nil {
		return nil
	}
	if late := now.Sub(next.due); !next.due.IsZero() && late > next.every {
		d.mu.Lock()
		d.stats.Skipped += uint64(late / next.every)
		d.mu.Unlock()
		next.due = now
	}
	if next.due.IsZero() {
		next.due = now
	}
	next.due = next.due.Add(next.every)
	d.exchange = &exchange{thing: of, poll: next, deadline: now.Add(of.timeout)}
	return d.transmit(p, next.request, adapters.Point{}, nil)
}

// transmit puts a template on the line.
func (d *Driver) transmit(p *port.Port, t template, point adapters.Point, value any) error {
	data, err := t.render(point, value)
	if err != nil {
		d.fail(&adapters.RefusedError{Reason: err.Error(), Lasting: true})
		return nil
	}
	d.mu.Lock()
	d.stats.Requests++
	d.mu.Unlock()
	d.count(len(data))
	d.tapped(Chunk{Sent: data})
	d.exchange.deadline = d.exchange.deadline.Add(d.setup.line.Time(len(data)))
	err = p.Write(data, time.Second)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return nil // it is not answered: that is told
	}
	return err
}

func (d *Driver) nextWrite() *write {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.writes) == 0 {
		return nil
	}
	w := d.writes[0]
	d.writes = d.writes[1:]
	return w
}

// underWay is the command that is not answered; nil: there is none.
func (d *Driver) underWay() *write {
	if d.exchange == nil {
		return nil
	}
	return d.exchange.write
}

// begin begins a command: with a look at what the device holds when that is
// wanted and can be asked.
func (d *Driver) begin(p *port.Port, now time.Time, w *write) error {
	for _, t := range d.things {
		if t.name == w.Thing {
			w.thing = t
		}
	}
	if w.thing == nil || len(w.thing.commands[w.Path].send.parts) == 0 {
		w.done <- outcome{err: errDown}
		return nil
	}
	d.exchange = &exchange{thing: w.thing, write: w}
	if w.ReadFirst && len(w.thing.commands[w.Path].read.parts) > 0 {
		return d.ask(p, now, w, looking)
	}
	return d.order(p, now, w)
}

func (d *Driver) ask(p *port.Port, now time.Time, w *write, why step) error {
	w.step = why
	d.exchange.deadline = now.Add(w.thing.timeout)
	return d.transmit(p, w.thing.commands[w.Path].read, adapters.Point{}, nil)
}

func (d *Driver) order(p *port.Port, now time.Time, w *write) error {
	c := w.thing.commands[w.Path]
	w.step, w.held = commanded, nil
	d.exchange.deadline = now.Add(min(ackWait, w.thing.timeout))
	if len(c.read.parts) == 0 {
		w.step = asked // it is said unasked
		d.exchange.deadline = now.Add(w.thing.timeout)
	}
	return d.transmit(p, c.send, w.thing.points[w.Path], w.Value)
}

// answered takes a frame of a thing as an answer to what was sent.
func (d *Driver) answered(now time.Time, t *thing, content []byte, values []value, own bool) {
	if d.exchange == nil || d.exchange.thing != t {
		return
	}
	if q := d.exchange.poll; q != nil {
		if own {
			for _, v := range values {
				q.answers[v.name] = true
			}
			d.exchange = nil
		}
		return
	}
	w := d.exchange.write
	if w.step != looking && t.refused != nil && t.refused.MatchString(text(content)) {
		d.fail(&adapters.RefusedError{Reason: fmt.Sprintf("the device answered %.60q", text(content))})
		return
	}
	for _, v := range values {
		if v.name == w.Path && v.quality.HasValue() {
			w.held = &value{v.name, v.value, v.quality}
		}
	}
	switch {
	case w.step == commanded:
		d.exchange.deadline = now // it said something; now ask
	case w.held == nil:
	case w.held.value == w.Value:
		d.finish(now, w)
	case w.step == looking:
		d.exchange = nil
		w.ReadFirst = false
		d.mu.Lock()
		d.writes = append([]*write{w}, d.writes...)
		d.mu.Unlock()
	case len(t.commands[w.Path].read.parts) > 0:
		d.finish(now, w) // the device's word, though another one than ours
	}
}

// finish ends a command with what the device holds.
func (d *Driver) finish(now time.Time, w *write) {
	d.exchange = nil
	w.done <- outcome{reading: adapters.Reading{Thing: w.Thing, Path: w.Path, Value: w.held.value, Quality: w.held.quality, Time: now}}
}

// expire gives up on what was not answered in time.
func (d *Driver) expire(now time.Time, emit func(...adapters.Reading)) {
	x := d.exchange
	if x == nil || now.Before(x.deadline) {
		return
	}
	if w := x.write; w != nil {
		switch {
		case w.step == commanded:
			return // send asks next
		case w.held != nil:
			d.finish(now, w)
			return
		}
		d.missed()
		d.fail(errNoAnswer)
		return
	}
	d.exchange = nil
	d.missed()
	var readings []adapters.Reading
	for _, name := range x.thing.names {
		if len(x.poll.answers) == 0 && len(x.thing.polls) == 1 || x.poll.answers[name] {
			readings = append(readings, adapters.Reading{Thing: x.thing.name, Path: name, Quality: adapters.Timeout, Time: now})
		}
	}
	emit(readings...)
}

func (d *Driver) missed() {
	d.mu.Lock()
	d.stats.Errors++
	d.mu.Unlock()
}

// fail ends the command that is under way; with errDown all of them.
func (d *Driver) fail(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if w := d.underWay(); w != nil {
		w.done <- outcome{err: err}
	}
	d.exchange = nil
	if !errors.Is(err, errDown) {
		return
	}
	for _, w := range d.writes {
		w.done <- outcome{err: err}
	}
	d.writes = nil
}
