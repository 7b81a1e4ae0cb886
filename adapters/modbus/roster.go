package modbus

import (
	"log/slog"
	"maps"
	"reflect"
	"slices"
	"time"

	"edgeshadow/adapters"
	"edgeshadow/adapters/port"
)

// roster is what a bus polls.
type roster struct {
	units  []*unit // by unit id
	points map[pointKey]*point
}

// Prepare makes the buses of a configuration ready that follows another, whose
// buses are old; commit has them poll its things. A bus whose own settings did
// not change is the one of old, with its link and with what it knows of its
// units, and goes on untouched when its things did not change either.
func (bs Buses) Prepare(old map[string]*Bus, things adapters.Things, log *slog.Logger) (next map[string]*Bus, commit func()) {
	next = map[string]*Bus{}
	var polling []*Bus
	for name, cfg := range bs {
		b := old[name]
		if b == nil || !reflect.DeepEqual(b.cfg, cfg.withDefaults()) {
			next[name] = New(name, cfg, things, log)
			continue
		}
		next[name] = b
		if !reflect.DeepEqual(b.things, onBus(name, things)) {
			polling = append(polling, b)
		}
	}
	return next, func() {
		for _, b := range polling {
			b.Poll(things)
		}
	}
}

// onBus are the things that a bus serves.
func onBus(name string, things adapters.Things) adapters.Things {
	on := adapters.Things{}
	for thing, t := range things {
		if t.Bus == name && t.Driver() == name {
			on[thing] = t
		}
	}
	return on
}

// Poll makes the bus poll the things that are on it instead of those before.
// The link stays, and what is known of a unit that is still there.
func (b *Bus) Poll(things adapters.Things) {
	r := &roster{points: map[pointKey]*point{}}
	units := map[byte]*unit{}
	things = onBus(b.name, things)
	for _, thing := range slices.Sorted(maps.Keys(things)) {
		t := things[thing]
		id := byte(t.UnitID())
		if units[id] == nil {
			units[id] = newUnit(id, b.cfg.serial(), b.send)
		}
		for _, p := range units[id].add(thing, t) {
			r.points[pointKey{thing, p.path}] = p
		}
	}
	for _, id := range slices.Sorted(maps.Keys(units)) {
		r.units = append(r.units, units[id])
	}
	b.mu.Lock()
	b.roster, b.points, b.things = r, r.points, things
	b.mu.Unlock()
	b.wake()
}

// adopt takes a new roster over.
func (b *Bus) adopt() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.roster == nil {
		return
	}
	for _, u := range b.roster.units {
		i := slices.IndexFunc(b.units, func(old *unit) bool { return old.id == u.id })
		if i < 0 {
			continue
		}
		old := b.units[i]
		u.client, u.breaker, u.holes = old.client, old.breaker, old.holes
		u.requests, u.errors, u.open = old.requests, old.errors, old.open
		for _, p := range u.points {
			if j := slices.IndexFunc(old.points, p.same); j >= 0 {
				p.next = old.points[j].next
			}
		}
	}
	b.units, b.polls, b.roster = b.roster.units, nil, nil
}

// same says whether two points are read alike, so that the schedule of one is
// the other's.
func (p *point) same(o *point) bool {
	return p.thing == o.thing && p.path == o.path && p.table == o.table && p.addr == o.addr && p.every == o.every
}

// warnUnstable names a better name for a port that moves with the order of
// plugging.
func (b *Bus) warnUnstable() {
	if stable := (port.Machine{}).Unstable(b.cfg.Port); b.cfg.Type == RTU && stable != "" {
		b.log.Warn("the port's name moves when devices are plugged in another order", "port", b.cfg.Port, "better", stable)
	}
}

// poll is a planned request of a unit.
type poll struct {
	unit *unit
	request
	probe bool
}

// plan fills the queue with what is due. Of a unit that was given up only its
// probe is, after all else and within the share that probes have.
func (b *Bus) plan(now time.Time) {
	var probes []poll
	for _, u := range b.units {
		requests, skipped := u.due(now)
		if u.breaker.open {
			if u.breaker.due(now) && len(u.points) > 0 && (b.alone(u) || !now.Before(b.probing)) {
				p := u.points[0]
				probes = append(probes, poll{u, request{p.table, p.addr, p.codec.count, []*point{p}}, true})
			}
			continue
		}
		for _, r := range requests {
			b.polls = append(b.polls, poll{u, r, false})
		}
		b.mu.Lock()
		b.stats.Skipped += skipped
		b.mu.Unlock()
	}
	// Who has waited longest first: one probe may use up the share of all.
	slices.SortStableFunc(probes, func(a, b poll) int { return a.unit.breaker.probe.Compare(b.unit.breaker.probe) })
	b.polls = append(b.polls, probes...)
}

// nextPoll takes the next poll out of the queue that still makes sense: a unit
// may have been given up since it was planned, and a probe may have used up the
// share of the others.
func (b *Bus) nextPoll(now time.Time) (poll, bool) {
	for len(b.polls) > 0 {
		p := b.polls[0]
		b.polls = b.polls[1:]
		if p.probe && now.Before(b.probing) && !b.alone(p.unit) {
			continue
		}
		if p.probe || !p.unit.breaker.open {
			return p, true
		}
	}
	return poll{}, false
}
