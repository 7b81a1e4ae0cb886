package broker

import "time"

// rate is what a client may send: packets per second over some time, and so
// many at once. One that sends more is a flood and is cut off.
const (
	ratePerSecond = 10_000
	rateBurst     = 3 * ratePerSecond
)

// bucket counts what is left of a rate. It belongs to one goroutine.
type bucket struct {
	left float64
	at   time.Time
}

// allow takes one packet out, of a rate of so many per second.
func (k *bucket) allow(perSecond float64) bool {
	now := time.Now()
	burst := perSecond * rateBurst / ratePerSecond
	if k.at.IsZero() {
		k.left = burst
	} else {
		k.left = min(burst, k.left+perSecond*now.Sub(k.at).Seconds())
	}
	k.at = now
	if k.left < 1 {
		return false
	}
	k.left--
	return true
}
