package broker

import "time"

// rate is what a client may send: packets per second over some time, and so
// many at once. One that sends more is a flood and is cut off.
const (
	defaultRate = 10_000
	burst       = 3 // seconds' worth
)

// bucket counts what is left of a rate. One goroutine at a time may use it.
type bucket struct {
	left float64
	at   time.Time
}

// take takes one out, of so many per second and so many at once.
func (k *bucket) take(now time.Time, perSecond, atOnce float64) bool {
	if k.at.IsZero() {
		k.left = atOnce
	} else {
		k.left = min(atOnce, k.left+perSecond*now.Sub(k.at).Seconds())
	}
	k.at = now
	if k.left < 1 {
		return false
	}
	k.left--
	return true
}

// allow is take for packets, of which burst seconds' worth may come at once.
func (k *bucket) allow(now time.Time, perSecond float64) bool {
	return k.take(now, perSecond, burst*perSecond)
}
