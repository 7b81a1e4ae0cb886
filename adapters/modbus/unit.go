package modbus

import (
	"slices"
	"time"

	"edgeshadow/adapters"
)

// unit is one device of a bus. Run owns it.
type unit struct {
	id      byte
	client  *client
	breaker breaker
	limits  limits
	holes   []hole
	points  []*point // inOrder

	// Guarded by Bus.mu.
	requests, errors uint64
	open             bool // the breaker is
}

func newUnit(id byte, serial bool, send transport) *unit {
	return &unit{
		id: id, client: newClient(id, serial, send), breaker: newBreaker(),
		limits: limits{gap: defaultMaxGap, registers: maxRegisters},
	}
}

// add takes in the points of a thing. Things that share a unit share its
// limits; the strictest count.
func (u *unit) add(name string, t adapters.Thing) []*point {
	if t.MaxGap != nil {
		u.limits.gap = min(u.limits.gap, *t.MaxGap)
	}
	if t.MaxRegisters > 0 {
		u.limits.registers = min(u.limits.registers, t.MaxRegisters)
	}
	var added []*point
	for path, cfg := range t.AllPoints() {
		p := parsePoint(cfg, func(string, string) {}) // Validate has told the faults
		p.thing, p.path, p.unit, p.every = name, path, u, t.EveryOf(cfg)
		added = append(added, &p)
	}
	u.points = append(u.points, added...)
	slices.SortFunc(u.points, inOrder)
	return added
}

// due takes the points whose time has come, plans their requests, and sets
// their next time. It counts what was too late to be read in its turn: polls
// are skipped, not queued.
func (u *unit) due(now time.Time) (requests []request, skipped uint64) {
	var points []*point
	for _, p := range u.points {
		if now.Before(p.next) {
			continue
		}
		points = append(points, p)
		if p.next.IsZero() {
			p.next = now
		}
		late := uint64(now.Sub(p.next) / p.every)
		skipped += late
		p.next = p.next.Add(time.Duration(late+1) * p.every)
	}
	return plan(points, u.limits, u.holes), skipped
}

// readAll makes every point due: nothing that is known of the unit is fresh.
func (u *unit) readAll() {
	for _, p := range u.points {
		p.next = time.Time{}
	}
}

// missing notes that an address that a point needs does not exist, so that the
// point spoils no request but its own, and forgets what was supposed while
// looking for it.
func (u *unit) missing(p *point) {
	known := func(h hole) bool { return h == hole{p.table, int(p.addr), p.end(), false} }
	if slices.ContainsFunc(u.holes, known) {
		return
	}
	u.holes = slices.DeleteFunc(u.holes, func(h hole) bool { return h.suspect && h.table == p.table })
	u.holes = append(u.holes, hole{p.table, int(p.addr), p.end(), false})
}

// next is when the unit wants the bus again; zero: never.
func (u *unit) next() time.Time {
	if u.breaker.open && len(u.points) > 0 {
		return u.breaker.probe
	}
	var next time.Time
	for i, p := range u.points {
		if i == 0 || p.next.Before(next) {
			next = p.next
		}
	}
	return next
}
