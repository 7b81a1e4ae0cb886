package serial

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"

	"edgeshadow/adapters"
	"edgeshadow/adapters/port"
)

const (
	// openFirst and openMost bound the pause between two attempts to open the
	// port: a plug that is back is heard within seconds.
	openFirst = 250 * time.Millisecond
	openMost  = 5 * time.Second
	// turn is how long one read waits at most: a write waits no longer for it.
	turn = 50 * time.Millisecond
)

var (
	errDown     = errors.New("the port is not open")
	errNoAnswer = errors.New("no answer")
)

// Driver is the driver of one port: adapters.Driver.
type Driver struct {
	name   string // of the port
	log    *slog.Logger
	warned bool

	// Run's own.
	setup    setup
	things   []*thing
	framer   *framer
	exchange *exchange // what was sent and is not answered

	mu      sync.Mutex
	known   []*thing // those that are, or are about to be
	next    *plan    // what to do from now on; nil: no change
	writes  []*write
	taps    map[*tap]bool
	running bool
	stats   adapters.BusStats
	busy    load
}

// setup is what makes the port and its frames.
type setup struct {
	line  port.Line
	rs485 *port.RS485
	frame Frame
	check Check
}

// plan is what a driver is to do.
type plan struct {
	setup
	things []*thing
}

// New is the driver of a port for the things that share it; their sections are
// valid. A nil log discards.
func New(name string, things map[string]Thing, log *slog.Logger) *Driver {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	d := &Driver{name: name, log: log.With("port", name), taps: map[*tap]bool{}}
	d.next = newPlan(things)
	d.known = d.next.things
	return d
}

// Prepare makes the driver ready for other things on its port. The port stays
// open unless its settings change.
func (d *Driver) Prepare(things map[string]Thing) (commit, discard func(), err error) {
	next := newPlan(things)
	return func() {
		d.mu.Lock()
		d.next, d.known = next, next.things
		d.mu.Unlock()
	}, func() {}, nil
}

func newPlan(things map[string]Thing) *plan {
	p := &plan{}
	for _, name := range slices.Sorted(maps.Keys(things)) {
		t := things[name]
		p.setup = setup{t.LineOrDefault(), t.RS485, t.Frame, t.Check}
		p.things = append(p.things, newThing(name, t))
	}
	return p
}

// Run owns the port until ctx ends. What goes wrong with the port is told, and
// it is opened again: Run does not fail.
func (d *Driver) Run(ctx context.Context, emit func(...adapters.Reading)) error {
	d.mu.Lock()
	d.running = true
	d.mu.Unlock()
	defer d.stop()
	opening := &backoff.ExponentialBackOff{InitialInterval: openFirst, MaxInterval: openMost, Multiplier: 2, RandomizationFactor: 0.3}
	opening.Reset()
	for ctx.Err() == nil {
		d.adopt()
		d.turn(time.Now()) // the kernel may take its time, or hang
		p, err := port.Open(d.name, d.setup.line, d.setup.rs485)
		if err == nil {
			d.up(p)
			frames := d.framer.stats.Frames
			err = d.serve(ctx, p, emit)
			if d.framer.stats.Frames > frames {
				opening.Reset() // it was a port that works
			}
			if closing := p.Close(); err == nil {
				continue // for other settings, or for good
			} else if closing != nil {
				d.log.Debug("close", "err", closing)
			}
		}
		d.down(err)
		d.turn(time.Time{})
		pause(ctx, opening.NextBackOff())
	}
	return nil
}

// adopt takes on what Prepare made ready; reopen says that the port has other
// settings now.
func (d *Driver) adopt() (reopen bool) {
	d.mu.Lock()
	next := d.next
	d.next = nil
	d.mu.Unlock()
	if next == nil {
		return false
	}
	reopen = d.framer == nil || !next.setup.equal(d.setup)
	d.setup, d.things = next.setup, next.things
	if reopen {
		d.framer = newFramer(d.setup.frame, d.setup.check)
	}
	d.fail(errDown)
	return reopen
}

// serve reads the port, and sends what is due, until the port fails or ctx ends.
func (d *Driver) serve(ctx context.Context, p *port.Port, emit func(...adapters.Reading)) error {
	d.framer.restart()
	buf, heard := make([]byte, 4096), time.Now()
	take := func(content []byte) { d.take(time.Now(), content, emit) }
	for ctx.Err() == nil {
		if d.adopt() {
			return nil
		}
		now := time.Now()
		d.turn(now) // a read waits for a second at most
		if err := d.send(p, now, emit); err != nil {
			return err
		}
		n, err := p.Read(buf, d.wait(now, heard))
		switch {
		case n > 0:
			heard = time.Now()
			d.count(n)
			d.tapped(Chunk{Raw: buf[:n]})
			d.framer.feed(buf[:n], take)
		case errors.Is(err, os.ErrDeadlineExceeded):
			d.framer.silence(time.Since(heard), take)
		default:
			return err
		}
		d.expire(time.Now(), emit)
	}
	return nil
}

// wait is how long a read may wait.
func (d *Driver) wait(now, heard time.Time) time.Duration {
	wait := turn
	if d.exchange != nil {
		wait = min(wait, d.exchange.deadline.Sub(now))
	} else {
		for _, t := range d.things {
			for _, q := range t.polls {
				wait = min(wait, q.due.Sub(now))
			}
		}
	}
	if len(d.framer.buf) > 0 {
		wait = min(wait, d.framer.gap-now.Sub(heard))
	}
	return max(wait, time.Millisecond)
}

// take gives a frame to the things that it is of.
func (d *Driver) take(now time.Time, content []byte, emit func(...adapters.Reading)) {
	d.tapped(Chunk{Frame: content})
	for _, t := range d.things {
		values, own := t.values(content)
		if own {
			emit(t.readings(now, values)...)
		}
		d.answered(now, t, content, values, own)
	}
}

// up notes that the port is open.
func (d *Driver) up(p *port.Port) {
	if stable := (port.Machine{}).Unstable(d.name); stable != "" && !d.warned {
		d.warned = true
		d.log.Warn("this name moves with the order of plugging", "hint", "write port: "+stable)
	}
	d.mu.Lock()
	told := d.stats.Err
	d.stats.Connected, d.stats.Err = true, ""
	d.stats.Sessions++
	d.mu.Unlock()
	if told != "" {
		d.log.Info("port is back", "path", p.Path())
	}
}

// down notes that the port is gone; it is told once.
func (d *Driver) down(err error) {
	d.fail(errDown)
	d.mu.Lock()
	told := d.stats.Err
	d.stats.Connected = false
	if err != nil {
		d.stats.Err = err.Error()
	}
	d.mu.Unlock()
	if told == "" && err != nil {
		d.log.Warn("port is down; it is tried again", "err", err)
	}
}

// stop ends what nobody will answer.
func (d *Driver) stop() {
	d.fail(errDown)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.running, d.stats.Connected, d.stats.BusySince = false, false, nil
}

// pause waits, or until ctx ends.
func pause(ctx context.Context, long time.Duration) {
	timer := time.NewTimer(long)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

func (s setup) equal(other setup) bool {
	return s.line == other.line && equal(s.rs485, other.rs485) && s.frame.equal(other.frame) && s.check == other.check
}

func (f Frame) equal(other Frame) bool {
	one, then := f, other
	one.Length, then.Length = nil, nil
	return one == then && equal(f.Length, other.Length)
}

// equal compares what pointers name.
func equal[T comparable](a, b *T) bool {
	return a == b || a != nil && b != nil && *a == *b
}
