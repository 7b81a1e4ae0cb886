package upstream

import (
	"math/rand/v2"
	"time"
)

// Backoff bounds the time between two attempts, which is drawn at random below
// a limit that doubles (full jitter: a fleet that lost its cloud at one moment
// must not come back at one).
type Backoff struct {
	Min    time.Duration // first limit, and the least time between two attempts
	Max    time.Duration
	Stable time.Duration // a connection that lasted so long begins from Min again
}

// DefaultBackoff never connects more than once a second (SHADOW 27) and starts
// over only after a stable while: a link that flaps must not become a storm.
var DefaultBackoff = Backoff{Min: time.Second, Max: 120 * time.Second, Stable: 30 * time.Second}

// retry paces the attempts of one client.
type retry struct {
	Backoff
	limit time.Duration // of the next draw
	last  time.Time     // when the last attempt began
}

func newRetry(b Backoff) retry {
	if b == (Backoff{}) {
		b = DefaultBackoff
	}
	return retry{Backoff: b, limit: b.Min}
}

func (r *retry) attempt(now time.Time) { r.last = now }

// pause is how long to wait before the next attempt.
func (r *retry) pause(now time.Time) time.Duration {
	drawn := rand.N(max(r.limit, 1))
	r.limit = min(2*r.limit, r.Max)
	return max(drawn, r.least(now))
}

// least is how long no attempt may be made in any case.
func (r *retry) least(now time.Time) time.Duration { return r.last.Add(r.Min).Sub(now) }

func (r *retry) reset() { r.limit = r.Min }
