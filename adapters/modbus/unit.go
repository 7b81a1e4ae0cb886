package modbus

import (
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
	points  []*point

	// Guarded by Bus.mu.
	requests, errors uint64
	open             bool // the breaker is
}

func newUnit(id byte, send transport) *unit {
	return &unit{
		id: id, client: newClient(id, send), breaker: newBreaker(),
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
	for path, cfg := range t.Points {
		p := parsePoint(cfg, func(string, string) {}) // Validate has told the faults
		p.thing, p.path, p.unit, p.every = name, path, u, t.EveryOf(cfg)
		added = append(added, &p)
	}
	u.points = append(u.points, added...)
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

// next is when the unit wants the bus again.
func (u *unit) next() time.Time {
	var next time.Time
	for _, p := range u.points {
		if next.IsZero() || p.next.Before(next) {
			next = p.next
		}
	}
	if u.breaker.open && !next.IsZero() && u.breaker.probe.Before(next) {
		return u.breaker.probe
	}
	return next
}
