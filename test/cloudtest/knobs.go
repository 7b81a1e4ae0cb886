package cloudtest

import (
	"strings"
	"time"
)

// Knobs spoil what passes the link. The functions are asked for each message,
// under the link's lock, with its topic; nil: never.
type Knobs struct {
	Before      func(topic string)               // something happens an instant before a request arrives; it may use the cloud
	DropRequest func(topic string) bool          // the request never arrives
	LoseAnswer  func(topic string) bool          // the message to the client never arrives
	Duplicate   func(topic string) bool          // it arrives twice
	Reorder     func(topic string) bool          // it arrives before the one in front of it
	Delay       func(topic string) time.Duration // it is so long on its way
	CutBefore   func(topic string) bool          // the link is lost before the request was applied
	CutAfter    func(topic string) bool          // the link is lost when the request was applied
	Reject      func(topic string) (code int)    // the request is refused with a code, not applied
	RejectBadly func(topic string) (code int)    // refused with a code, but applied
}

// Quotas are what the cloud bears; 0: anything.
type Quotas struct {
	PerSecond int // requests of the connection; more: it is closed
	PerThing  int // requests of a thing in a second; more: 429
	InFlight  int // requests without an answer; more: 429
	Throttle  int // requests of the connection in a second; more: 429
}

// Turn sets the knobs.
func (l *Link) Turn(k Knobs) {
	l.mu.Lock()
	l.knobs = k
	l.mu.Unlock()
}

// Enforce sets the quotas.
func (l *Link) Enforce(q Quotas) {
	l.mu.Lock()
	l.quotas = q
	l.mu.Unlock()
}

// Broken is how often a quota was not kept.
func (l *Link) Broken() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.broken
}

// Always is a knob that strikes each message whose topic has a part.
func Always(part string) func(string) bool {
	return func(topic string) bool { return strings.Contains(topic, part) }
}

// Times is a knob that strikes the first n messages whose topic has a part.
func Times(n int, part string) func(string) bool {
	return func(topic string) bool {
		if n == 0 || !strings.Contains(topic, part) {
			return false
		}
		n--
		return true
	}
}

// Code is a knob that refuses what another one strikes.
func Code(code int, strikes func(string) bool) func(string) int {
	return func(topic string) int {
		if strikes(topic) {
			return code
		}
		return 0
	}
}

type verdict struct {
	drop, cutBefore, cutAfter bool
	code                      int
	applied                   bool // in spite of code
}

// judge asks the quotas and the knobs about a request.
func (l *Link) judge(topic string, now time.Time) (v verdict) {
	if l.overdrawn(topic, now, &v) {
		return v
	}
	k := l.knobs
	v.drop = asked(k.DropRequest, topic)
	v.cutBefore = asked(k.CutBefore, topic)
	v.cutAfter = asked(k.CutAfter, topic)
	if k.Reject != nil {
		v.code = k.Reject(topic)
	}
	if v.code == 0 && k.RejectBadly != nil {
		v.code = k.RejectBadly(topic)
		v.applied = v.code != 0
	}
	return v
}

func (l *Link) overdrawn(topic string, now time.Time, v *verdict) bool {
	thing := strings.Split(topic, "/")[2]
	l.recent = lastSecond(append(l.recent, now), now)
	l.things[thing] = lastSecond(append(l.things[thing], now), now)
	q := l.quotas
	over := func(n, most int) bool { return most > 0 && n > most }
	switch {
	case over(len(l.recent), q.PerSecond):
		v.cutBefore = true
	case over(len(l.things[thing]), q.PerThing), over(l.waiting, q.InFlight), over(len(l.recent), q.Throttle):
		v.code = 429
	default:
		return false
	}
	l.broken++
	return true
}

func lastSecond(times []time.Time, now time.Time) []time.Time {
	for len(times) > 0 && now.Sub(times[0]) >= time.Second {
		times = times[1:]
	}
	return times
}

func asked(f func(string) bool, topic string) bool { return f != nil && f(topic) }
