package modbus

import (
	"errors"
	"time"

	"edgeshadow/adapters"
)

// read does one planned request and emits what it says of each point.
func (b *Bus) read(p poll, emit func(...adapters.Reading)) {
	before := b.writesOf(p.points)
	words, err := p.unit.client.read(p.request, nil)
	now := time.Now()
	b.account(p.unit, err, now)
	if code, ok := exceptionCode(err); ok && code == illegalAddress && len(p.points) > 1 {
		halves, between := p.split()
		p.unit.holes = append(p.unit.holes, between)
		b.polls = append([]poll{{p.unit, halves[0]}, {p.unit, halves[1]}}, b.polls...)
		return
	}
	var readings []adapters.Reading
	for i, point := range p.points {
		if err != nil {
			readings = append(readings, point.failed(quality(err), now))
			continue
		}
		if b.overtaken(point, before[i]) {
			continue // a write is newer than what was read
		}
		at := int(point.addr) - int(p.addr)
		readings = append(readings, point.reading(words[at:at+point.codec.count], now))
	}
	emit(readings...)
}

// account notes how a unit answered. A link that is down is no fault of a unit.
func (b *Bus) account(u *unit, err error, now time.Time) {
	code, exception := exceptionCode(err)
	silent := errors.Is(err, ErrTimeout) || exception && unreachable(code)
	switch {
	case silent:
		if u.breaker.fail(now, b.alone(u)) {
			b.log.Warn("unit does not answer; it is probed now and then", "unit", u.id)
		}
	case err == nil || exception:
		if u.breaker.answer(now) {
			b.log.Info("unit answers again", "unit", u.id)
		}
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
}

// alone tells whether no unit but u could be slowed by probes of u.
func (b *Bus) alone(u *unit) bool {
	for _, other := range b.units {
		if other != u && !other.breaker.open {
			return false
		}
	}
	return true
}
