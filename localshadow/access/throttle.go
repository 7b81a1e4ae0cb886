package access

import (
	"fmt"
	"hash/fnv"
	"sync"
	"time"
)

// Bounds of failed logins. An address waits up to five minutes; a name, which
// others can use up, only seconds, and not at all at an address from which it
// has come in before.
const (
	freeFailures  = 5 // without a wait
	maxAddressOff = 5 * time.Minute
	maxNameOff    = 2 * time.Second
	forgetAfter   = 15 * time.Minute
	maxTracked    = 4096
)

// ThrottledError says that there were too many failed logins.
type ThrottledError struct {
	What string // the address, or the user
	Wait time.Duration
}

func (e *ThrottledError) Error() string {
	return fmt.Sprintf("too many failed logins of %s; the next try counts in %s", e.What, e.Wait.Round(time.Second))
}

// throttle slows guessing down. The zero value is ready. Times are of the
// monotonic clock.
type throttle struct {
	turns [64]sync.Mutex // by address: who guesses in parallel waits in line

	mu     sync.Mutex
	failed map[string]*failures // by address, and by "name " and the user's name
	known  map[string]struct{}  // "address name" that came in
}

type failures struct {
	count int
	last  time.Time
	until time.Time
}

// turn makes the logins of an address come one by one; the caller unlocks.
func (t *throttle) turn(address string) *sync.Mutex {
	h := fnv.New32a()
	_, _ = h.Write([]byte(address))
	lock := &t.turns[h.Sum32()%uint32(len(t.turns))]
	lock.Lock()
	return lock
}

// admit tells whether a login may be tried now.
func (t *throttle) admit(address, name string) error {
	now := time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	if f := t.failed[address]; f != nil && now.Before(f.until) {
		return &ThrottledError{address, f.until.Sub(now)}
	}
	if f := t.failed["name "+name]; name != "" && f != nil && now.Before(f.until) {
		if _, known := t.known[address+" "+name]; !known {
			return &ThrottledError{clip(name), f.until.Sub(now)}
		}
	}
	return nil
}

// fail counts a failed login.
func (t *throttle) fail(address, name string) {
	now := time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.count(address, now, maxAddressOff)
	if name != "" {
		t.count("name "+name, now, maxNameOff)
	}
}

func (t *throttle) count(key string, now time.Time, most time.Duration) {
	if t.failed == nil {
		t.failed = map[string]*failures{}
	}
	f := t.failed[key]
	if f == nil || now.Sub(f.last) > forgetAfter {
		if len(t.failed) >= maxTracked {
			t.sweep(now)
		}
		f = &failures{}
		t.failed[key] = f
	}
	f.count++
	f.last = now
	if over := f.count - freeFailures; over > 0 {
		f.until = now.Add(min(most, time.Second<<min(over-1, 20)))
	}
}

// sweep makes room: what is old goes, and when nothing is, everything that
// waits for nothing.
func (t *throttle) sweep(now time.Time) {
	for key, f := range t.failed {
		if now.After(f.until) {
			delete(t.failed, key)
		}
	}
	for key := range t.failed {
		if len(t.failed) < maxTracked {
			return
		}
		delete(t.failed, key)
	}
}

// succeed forgets the failures of an address.
func (t *throttle) succeed(address, name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.failed, address)
	if t.known == nil || len(t.known) >= maxTracked {
		t.known = map[string]struct{}{}
	}
	t.known[address+" "+name] = struct{}{}
}
