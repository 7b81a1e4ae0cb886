package modbus

import (
	"time"

	"github.com/cenkalti/backoff/v5"
)

const (
	// tripAfter is how many requests in a row go unanswered before a unit is
	// given up. One may be lost; the third would cost the others a timeout
	// more. Of a unit that was never heard one is enough.
	tripAfter = 2
	// probeFirst and probeMost bound the pause between two probes of a unit
	// that was given up; while no unit of the bus answers there is nobody to
	// protect, and probeAlone is the most.
	probeFirst = 500 * time.Millisecond
	probeMost  = 60 * time.Second
	probeAlone = 5 * time.Second
	// answersStable is how long a unit answers before the ramp starts anew.
	answersStable = time.Minute
	// probeShare is the part of a bus's time that probes may take while another
	// unit answers: however long the timeout is and however many units are
	// dead, the others keep the rest.
	probeShare = 20
)

// breaker keeps a unit that does not answer from slowing the others.
type breaker struct {
	heard    bool // ever
	failures int  // in a row
	open     bool
	probe    time.Time // when open: not before
	closed   time.Time // when it was closed last
	ramp     *backoff.ExponentialBackOff
}

func newBreaker() breaker {
	b := breaker{ramp: &backoff.ExponentialBackOff{
		InitialInterval: probeFirst, MaxInterval: probeMost, Multiplier: 2, RandomizationFactor: 0.2,
	}}
	b.ramp.Reset()
	return b
}

// fail counts a request without an answer; alone says that no unit of the bus
// answers. It reports whether the unit was given up now.
func (b *breaker) fail(now time.Time, alone bool) bool {
	b.failures++
	if !b.open && b.heard && b.failures < tripAfter {
		return false
	}
	tripped := !b.open
	if tripped && now.Sub(b.closed) >= answersStable {
		b.ramp.Reset()
	}
	b.open = true
	pause := b.ramp.NextBackOff()
	if alone {
		pause = min(pause, probeAlone)
	}
	b.probe = now.Add(pause)
	return tripped
}

// answer counts an answer and reports whether the unit is back with it.
func (b *breaker) answer(now time.Time) bool {
	b.heard, b.failures = true, 0
	back := b.open
	if back {
		b.open, b.closed = false, now
	}
	return back
}

// retry makes an open breaker probe at once: what it knew is out of date.
func (b *breaker) retry(now time.Time) {
	if b.open {
		b.ramp.Reset()
		b.probe = now
	}
}

// due says whether a probe may be made.
func (b *breaker) due(now time.Time) bool { return b.open && !now.Before(b.probe) }
