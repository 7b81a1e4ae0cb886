package broker

import "time"

// rate is what a client may send: packets per second over some time, and so
// many at once. One that sends more is a flood and is cut off.
const (
	defaultRate = 10_000
	burst       = 3 // seconds' worth
)

// bucket counts what is left of a rate. It belongs to one goroutine.
type bucket struct {
	left float64
	at   time.Time
}

// allow takes one packet out, of a rate of so many per second.
func (k *bucket) allow(now time.Time, perSecond float64) bool {
	if k.at.IsZero() {
		k.left = burst * perSecond
	} else {
		k.left = min(burst*perSecond, k.left+perSecond*now.Sub(k.at).Seconds())
	}
	k.at = now
	if k.left < 1 {
		return false
	}
	k.left--
	return true
}
