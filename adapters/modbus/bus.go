package modbus

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"

	"edgeshadow/adapters"
)

const (
	// dialFirst and dialMost bound the pause between two attempts to connect: a
	// device that comes back is heard within seconds, and one that is gone for
	// good costs nothing.
	dialFirst = 250 * time.Millisecond
	dialMost  = 5 * time.Second
)

// Bus is the driver of one bus: adapters.Driver.
type Bus struct {
	// Took is told how long each request took; nil: nobody is. Set it before Run.
	Took func(time.Duration)

	name  string
	cfg   Config
	log   *slog.Logger
	nudge chan struct{} // capacity 1: there is something to do

	// Run's own.
	units   []*unit // by unit id
	dialing *backoff.ExponentialBackOff
	redial  time.Time     // no attempt to connect before
	last    time.Time     // end of the request before
	timeout time.Duration // for the answer to the request that is next
	polls   []poll        // due and not done yet
	looks   []*write      // that are to be read back
	probing time.Time     // no probe before, while a unit answers
	tooled  bool          // what was done last was a tool's: one that asks again at once starves no poll

	mu      sync.Mutex
	running bool
	ending  bool // Run is to end: what fails now is no news
	link    link // nil: there is none; Run alone changes it
	points  map[pointKey]*point
	things  adapters.Things // that are polled
	roster  *roster         // what Run is to poll instead of what it polls; nil: nothing new
	writes  []*write
	jobs    []*job
	stats   adapters.BusStats
	load    load
}

type pointKey struct{ thing, path string }

// New makes the driver of a bus for the things that are on it. A nil log
// discards.
func New(name string, cfg Config, things adapters.Things, log *slog.Logger) *Bus {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	cfg = cfg.withDefaults()
	b := &Bus{
		name: name, cfg: cfg, timeout: cfg.Timeout, log: log.With("bus", name), nudge: make(chan struct{}, 1),
		dialing: &backoff.ExponentialBackOff{InitialInterval: dialFirst, MaxInterval: dialMost, Multiplier: 2, RandomizationFactor: 0.3},
	}
	b.dialing.Reset()
	b.Poll(things)
	return b
}

// Run owns the bus until ctx ends: one request at a time, writes first.
func (b *Bus) Run(ctx context.Context, emit func(...adapters.Reading)) error {
	b.mu.Lock()
	b.running, b.ending = true, false
	b.mu.Unlock()
	defer b.stop()
	defer context.AfterFunc(ctx, b.interrupt)()
	b.warnUnstable()
	for ctx.Err() == nil {
		b.adopt()
		if silence := time.Until(b.last.Add(b.cfg.silence())); silence > 0 {
			sleep(ctx, silence) // what comes meanwhile is chosen from
			continue
		}
		b.turn(time.Now())
		if !b.step(ctx, emit) {
			b.turn(time.Time{})
			b.rest(ctx)
		}
	}
	return nil
}

// turn tells when a step began; zero: the bus rests.
func (b *Bus) turn(began time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stats.BusySince = nil
	if !began.IsZero() {
		b.stats.BusySince = &began
	}
}

// step does what is first in order: a write, what a tool asks, the reading back
// of a write, a poll, a probe. It says whether there was anything.
func (b *Bus) step(ctx context.Context, emit func(...adapters.Reading)) bool {
	now := time.Now()
	if w := b.nextWrite(); w != nil {
		b.connect(ctx, now)
		b.perform(w)
		return true
	}
	if w := b.nextLook(now); w != nil {
		b.connect(ctx, now)
		b.readBack(w)
		return true
	}
	if len(b.polls) == 0 {
		b.plan(now)
	}
	if j := b.nextJob(); j != nil {
		b.tooled = true
		b.redial = time.Time{} // who asks now wants to know now
		b.connect(ctx, now)
		b.answer(j)
		return true
	}
	b.tooled = false
	if p, ok := b.nextPoll(now); ok {
		b.connect(ctx, now)
		b.read(p, emit)
		return true
	}
	return false
}

// rest waits for what is due next, or for what is new.
func (b *Bus) rest(ctx context.Context) {
	now := time.Now()
	wait := time.Hour
	for _, u := range b.units {
		if next := u.next(); !next.IsZero() {
			if u.breaker.open && next.Before(b.probing) && !b.alone(u) {
				next = b.probing
			}
			wait = min(wait, next.Sub(now))
		}
	}
	for _, w := range b.looks {
		wait = min(wait, w.at.Sub(now))
	}
	timer := time.NewTimer(max(0, wait))
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-b.nudge:
	case <-timer.C:
	}
}

// connect makes a link when there is none and it is time to try.
func (b *Bus) connect(ctx context.Context, now time.Time) {
	if b.link != nil || now.Before(b.redial) {
		return
	}
	l, err := b.cfg.open(ctx)
	if err != nil {
		b.redial = time.Now().Add(b.dialing.NextBackOff())
		b.down(err)
		return
	}
	for _, u := range b.units {
		u.breaker.retry(now)
	}
	b.mu.Lock()
	b.link = l
	b.stats.Connected = true // that it is well again an answer will show
	b.stats.Sessions++
	b.mu.Unlock()
	if ctx.Err() != nil {
		l.interrupt() // Run's own interrupt may have come before there was a link
	}
	if b.cfg.Settle > 0 {
		sleep(ctx, b.cfg.Settle)
	}
}

// down notes that the link is gone; it is told once.
func (b *Bus) down(err error) {
	b.mu.Lock()
	told, ending := b.stats.Err, b.ending
	b.stats.Connected, b.stats.Err = false, err.Error()
	b.mu.Unlock()
	if told == "" && !ending {
		b.log.Warn("bus is down; it is tried again", "address", b.cfg.Address(), "err", err)
	}
}

// well notes that the link carries answers.
func (b *Bus) well() {
	b.mu.Lock()
	told := b.stats.Err
	b.stats.Err = ""
	b.mu.Unlock()
	if told != "" {
		b.log.Info("bus is back", "address", b.cfg.Address())
	}
}

var errDown = errors.New("not connected")

// send is the transport of every unit's client.
func (b *Bus) send(request []byte) ([]byte, error) {
	if b.link == nil {
		return nil, errDown
	}
	if silence := time.Until(b.last.Add(b.cfg.silence())); silence > 0 {
		time.Sleep(silence) // between the two requests of one step: tens of milliseconds
	}
	began := time.Now()
	answer, err := b.link.exchange(request, b.timeout)
	b.last = time.Now()
	b.mu.Lock()
	b.stats.Requests++
	b.stats.Discarded += b.link.discarded()
	b.load.add(began, b.last)
	b.mu.Unlock()
	if b.Took != nil {
		b.Took(b.last.Sub(began))
	}
	switch {
	case err == nil:
		b.dialing.Reset()
		b.well()
	case !errors.Is(err, ErrTimeout):
		b.hangUp()
		b.redial = time.Now().Add(b.dialing.NextBackOff())
		b.down(err)
	}
	return answer, err
}

// hangUp lets go of the link: a serial port that is held when its device is
// gone makes it come back under another name.
func (b *Bus) hangUp() {
	b.mu.Lock()
	l := b.link
	b.link = nil
	b.mu.Unlock()
	if l != nil {
		_ = l.Close() // it is of no more use
	}
}

func (b *Bus) interrupt() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ending = true
	if b.link != nil {
		b.link.interrupt()
	}
}

func (b *Bus) ends() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.ending
}

// stop ends the link, and the work that nobody will do.
func (b *Bus) stop() {
	b.hangUp()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.running = false
	b.stats.Connected = false
	for _, w := range append(b.writes, b.looks...) {
		w.point.touch(-1)
		w.done <- outcome{err: errDown}
	}
	for _, j := range b.jobs {
		j.done <- answer{err: errDown}
	}
	b.writes, b.looks, b.jobs = nil, nil, nil
}

// wake has Run look at what is new.
func (b *Bus) wake() {
	select {
	case b.nudge <- struct{}{}:
	default:
	}
}

// sleep waits, or until ctx ends.
func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
