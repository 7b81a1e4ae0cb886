package modbus

import (
	"errors"
	"slices"
	"time"

	"edgeshadow/adapters"
)

// read does one planned request and emits what it says of each point.
func (b *Bus) read(p poll, emit func(...adapters.Reading)) {
	before := b.writesOf(p.points)
	words, err := p.unit.client.read(p.request, nil)
	if err != nil && b.ends() {
		return
	}
	now := time.Now()
	lost := b.account(p.unit, err, now)
	if code, ok := exceptionCode(err); ok && (code == illegalAddress || code == illegalValue) {
		if len(p.points) > 1 {
			halves, between := p.split()
			p.unit.holes = append(p.unit.holes, between)
			b.polls = append([]poll{{p.unit, halves[0], p.probe}, {p.unit, halves[1], p.probe}}, b.polls...)
			return
		}
		p.unit.missing(p.points[0])
	}
	points := p.points
	if lost {
		points = p.unit.points // nothing more is asked of it: none of its points is good
	}
	readings := make([]adapters.Reading, 0, len(points))
	if err != nil {
		for _, point := range points {
			readings = append(readings, point.failed(quality(err), now))
		}
		emit(readings...)
		return
	}
	after := b.writesOf(p.points)
	for i, point := range points {
		if after[i] != before[i] || after[i].pending {
			continue // a write is newer than what was read
		}
		at := int(point.addr) - int(p.addr)
		readings = append(readings, point.reading(words[at:at+point.codec.count], now))
	}
	emit(readings...)
}

// account notes how a unit answered, and says whether it was given up now. A
// link that is down is no fault of a unit.
func (b *Bus) account(u *unit, err error, now time.Time) (lost bool) {
	code, exception := exceptionCode(err)
	silent := errors.Is(err, ErrTimeout) || exception && unreachable(code)
	switch {
	case silent:
		if lost = u.breaker.fail(now, b.alone(u)); lost {
			b.log.Warn("unit does not answer; it is probed now and then", "unit", u.id)
		}
		if u.breaker.open {
			b.probing = now.Add((probeShare - 1) * b.timeout)
		}
	case err == nil || exception:
		if u.breaker.answer(now) {
			b.log.Info("unit answers again", "unit", u.id)
			u.readAll()
		}
	case u.breaker.open: // its probe waits for the next link
		u.breaker.probe = b.redial
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	u.requests++
	u.open = u.breaker.open
	if exception {
		b.stats.Exceptions++
	} else if err != nil {
		b.stats.Errors++
		u.errors++
	}
	return lost
}

// alone tells whether no unit but u could be slowed by probes of u.
func (b *Bus) alone(u *unit) bool {
	return !slices.ContainsFunc(b.units, func(other *unit) bool { return other != u && !other.breaker.open })
}
