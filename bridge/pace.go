package bridge

import "time"

// Pacing of a connection (SHADOW 27).
const (
	maxOutstanding = 8  // AWS answers 429 above 10
	requestRate    = 20 // per second, and as a burst
	slowestRate    = 1
	raiseEvery     = 10 * time.Second // without a 429, for one more per second
	thingRate      = 10               // per second; AWS takes 20

	jitterAfter   = time.Minute            // an outage that others had too
	maxJitter     = 30 * time.Second       // before the first request after one
	replayWait    = 300 * time.Millisecond // what a kept session held for us comes before what we ask
	verifyStable  = 5 * time.Second        // a link that flaps gets no comparisons
	forgetThings  = 256                    // things whose last requests are remembered
	throttledOnce = time.Second            // one burst of 429 is one reason to slow down
)

// pace is the rate at which requests may leave: a token bucket that halves with
// each 429 and grows again by steps.
type pace struct {
	most   float64 // per second
	rate   float64
	tokens float64
	filled time.Time
	slowed time.Time // or raised: when rate last changed
	things map[string]*bucket
}

type bucket struct {
	tokens float64
	filled time.Time
}

func newPace() pace {
	return pace{most: requestRate, rate: requestRate, tokens: requestRate, things: map[string]*bucket{}}
}

// fill adds what has come together since the last time.
func (p *pace) fill(now time.Time) {
	if p.filled.IsZero() {
		p.filled, p.slowed = now, now
	}
	for p.rate < p.most && now.Sub(p.slowed) >= raiseEvery {
		p.rate, p.slowed = min(p.rate+1, p.most), p.slowed.Add(raiseEvery)
	}
	p.tokens = min(p.tokens+now.Sub(p.filled).Seconds()*p.rate, p.rate)
	p.filled = now
}

// wait is how long until a request may leave; 0: now.
func (p *pace) wait(now time.Time) time.Duration {
	p.fill(now)
	return until(p.tokens, p.rate)
}

// until is how long a bucket needs to come to a whole token.
func until(tokens, rate float64) time.Duration {
	const whole = 1 - 1e-6 // the clock's steps are coarser than a float's
	if tokens >= whole {
		return 0
	}
	return time.Duration((1-tokens)/rate*float64(time.Second)) + time.Microsecond
}

// waitThing is how long until a request of a thing may leave.
func (p *pace) waitThing(thing string, now time.Time) time.Duration {
	if p.things == nil {
		return 0
	}
	b := p.things[thing]
	if b == nil {
		if len(p.things) >= forgetThings {
			p.forget(now)
		}
		b = &bucket{tokens: thingRate, filled: now}
		p.things[thing] = b
	}
	b.tokens = min(b.tokens+now.Sub(b.filled).Seconds()*thingRate, thingRate)
	b.filled = now
	return until(b.tokens, thingRate)
}

// forget drops the things whose buckets are full again.
func (p *pace) forget(now time.Time) {
	for thing, b := range p.things {
		if now.Sub(b.filled) >= time.Second {
			delete(p.things, thing)
		}
	}
}

// take is a request that leaves.
func (p *pace) take(thing string) {
	p.tokens--
	if b := p.things[thing]; b != nil {
		b.tokens--
	}
}

// throttled is a 429.
func (p *pace) throttled(now time.Time) {
	if p.rate < p.most && now.Sub(p.slowed) < throttledOnce {
		return
	}
	p.rate, p.slowed = max(p.rate/2, slowestRate), now
	p.tokens = min(p.tokens, p.rate)
}
