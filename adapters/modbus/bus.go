package modbus

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
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
	name   string
	cfg    Config
	log    *slog.Logger
	units  []*unit // by unit id
	points map[pointKey]*point
	nudge  chan struct{} // capacity 1: there is a write

	// Run's own.
	session *session
	dialing *backoff.ExponentialBackOff
	redial  time.Time // no attempt to connect before
	last    time.Time // end of the request before
	polls   []poll    // due and not done yet

	mu      sync.Mutex
	running bool
	writes  []*write
	stats   adapters.BusStats
	load    load
}

type pointKey struct{ thing, path string }

// poll is a planned request of a unit.
type poll struct {
	unit *unit
	request
}

// New makes the driver of a bus for the things that are on it. A nil log
// discards.
func New(name string, cfg Config, things adapters.Things, log *slog.Logger) *Bus {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	cfg = cfg.withDefaults()
	b := &Bus{
		name: name, cfg: cfg, log: log.With("bus", name), points: map[pointKey]*point{}, nudge: make(chan struct{}, 1),
		dialing: &backoff.ExponentialBackOff{InitialInterval: dialFirst, MaxInterval: dialMost, Multiplier: 2, RandomizationFactor: 0.3},
	}
	b.dialing.Reset()
	units := map[byte]*unit{}
	for _, thing := range slices.Sorted(maps.Keys(things)) {
		t := things[thing]
		if t.Bus != name {
			continue
		}
		id := byte(t.UnitID())
		if units[id] == nil {
			units[id] = newUnit(id, b.send)
		}
		for _, p := range units[id].add(thing, t) {
			b.points[pointKey{thing, p.path}] = p
		}
	}
	for _, id := range slices.Sorted(maps.Keys(units)) {
		b.units = append(b.units, units[id])
	}
	return b
}

// Run owns the bus until ctx ends: one request at a time, writes first.
func (b *Bus) Run(ctx context.Context, emit func(...adapters.Reading)) error {
	b.mu.Lock()
	b.running = true
	b.mu.Unlock()
	defer b.stop()
	for ctx.Err() == nil {
		now := time.Now()
		if w := b.nextWrite(); w != nil {
			b.connect(ctx, now)
			b.perform(w)
			continue
		}
		if len(b.polls) == 0 {
			b.plan(now)
		}
		if len(b.polls) > 0 {
			next := b.polls[0]
			b.polls = b.polls[1:]
			b.connect(ctx, now)
			b.read(next, emit)
			continue
		}
		b.rest(ctx)
	}
	return nil
}

// plan fills the queue with what is due. Of a unit that was given up only its
// probe is.
func (b *Bus) plan(now time.Time) {
	for _, u := range b.units {
		requests, skipped := u.due(now)
		if u.breaker.open {
			if due, _ := u.breaker.due(now); due && len(u.points) > 0 {
				b.polls = append(b.polls, poll{u, plan(u.points[:1], u.limits, u.holes)[0]})
			}
			continue
		}
		for _, r := range requests {
			b.polls = append(b.polls, poll{u, r})
		}
		b.mu.Lock()
		b.stats.Skipped += skipped
		b.mu.Unlock()
	}
}

// rest waits for what is due next, or a write.
func (b *Bus) rest(ctx context.Context) {
	var next time.Time
	for _, u := range b.units {
		if n := u.next(); next.IsZero() || !n.IsZero() && n.Before(next) {
			next = n
		}
	}
	wait := time.Hour
	if !next.IsZero() {
		wait = time.Until(next)
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-b.nudge:
	case <-timer.C:
	}
}

// connect makes a session when there is none and it is time to try.
func (b *Bus) connect(ctx context.Context, now time.Time) {
	if b.session != nil || now.Before(b.redial) {
		return
	}
	s, err := dial(ctx, b.cfg.Host, b.cfg.Timeout)
	if err != nil {
		b.redial = time.Now().Add(b.dialing.NextBackOff())
		b.down(err)
		return
	}
	b.session = s
	for _, u := range b.units {
		u.breaker.retry(now)
	}
	b.mu.Lock()
	told := b.stats.Err
	b.stats.Connected, b.stats.Err = true, ""
	b.stats.Sessions++
	b.mu.Unlock()
	if told != "" {
		b.log.Info("bus is back", "host", b.cfg.Host)
	}
	if b.cfg.Settle > 0 {
		sleep(ctx, b.cfg.Settle)
	}
}

// down notes that the link is gone; it is told once.
func (b *Bus) down(err error) {
	b.mu.Lock()
	told := b.stats.Err
	b.stats.Connected, b.stats.Err = false, err.Error()
	b.mu.Unlock()
	if told == "" {
		b.log.Warn("bus is down; it is tried again", "host", b.cfg.Host, "err", err)
	}
}

var errDown = errors.New("not connected")

// send is the transport of every unit's client.
func (b *Bus) send(request []byte) ([]byte, error) {
	if b.session == nil {
		return nil, errDown
	}
	if silence := time.Until(b.last.Add(b.cfg.Gap)); b.cfg.Gap > 0 && silence > 0 {
		time.Sleep(silence) // a bus has nothing else to do: tens of milliseconds at most
	}
	began := time.Now()
	answer, err := b.session.exchange(request, b.cfg.Timeout)
	b.last = time.Now()
	b.mu.Lock()
	b.stats.Requests++
	b.stats.Discarded += b.session.discarded
	b.session.discarded = 0
	b.load.add(began, b.last)
	b.mu.Unlock()
	if err == nil {
		b.dialing.Reset()
	} else if !errors.Is(err, ErrTimeout) {
		_ = b.session.Close() // it is of no more use
		b.session = nil
		b.redial = time.Now().Add(b.dialing.NextBackOff())
		b.down(err)
	}
	return answer, err
}

// stop ends the session, and the writes that nobody will perform.
func (b *Bus) stop() {
	if b.session != nil {
		_ = b.session.Close()
		b.session = nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.running = false
	b.stats.Connected = false
	for _, w := range b.writes {
		w.point.writing--
		w.done <- outcome{err: errDown}
	}
	b.writes = nil
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
