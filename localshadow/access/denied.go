package access

import (
	"net/netip"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Bounds of what is remembered and logged of refusals.
const (
	maxDenials     = 256
	linesPerSecond = 5
	linesAtOnce    = 50
)

// Denial is something that was refused.
type Denial struct {
	Time      time.Time `json:"time"`                // the last one; by the wall clock, to be read by people
	Principal string    `json:"principal,omitempty"` // empty: it was not known
	Client    string    `json:"client,omitempty"`
	Remote    string    `json:"remote,omitempty"`
	Action    string    `json:"action"`
	Resource  string    `json:"resource"`
	Why       string    `json:"why"`
	Allow     string    `json:"allow,omitempty"` // the statement that would allow it
	Count     uint64    `json:"count"`
}

// denials remembers the last refusals of different kinds, the latest last.
type denials struct {
	mu    sync.Mutex
	all   []Denial
	total uint64
	lines *rate.Limiter
	muted int
}

// same tells whether two refusals are one for a reader of the log. Of a wide
// subscription that sees less than it asked for there is one, whatever it misses.
func (d *Denial) same(e *Denial) bool {
	if d.Principal != e.Principal || d.Action != e.Action || d.Why != e.Why {
		return false
	}
	if d.Principal == "" && d.Remote != e.Remote {
		return false
	}
	return d.Action == ActionReceive || d.Resource == e.Resource
}

// denied logs a refusal, once, and again when it has happened 10 times as often.
func (a *Access) denied(d Denial) {
	d.Time = time.Now()
	n := a.denials.add(&d)
	if !round(n) {
		return
	}
	muted, ok := a.denials.speak()
	if !ok {
		return
	}
	attrs := []any{"principal", d.Principal, "client", clip(d.Client), "remote", d.Remote, "action", d.Action, "resource", d.Resource, "err", d.Why}
	if d.Allow != "" {
		attrs = append(attrs, "hint", d.Allow)
	}
	if n > 1 {
		attrs = append(attrs, "times", n)
	}
	if muted > 0 {
		attrs = append(attrs, "not_logged", muted)
	}
	if d.Action == ActionReceive {
		a.log.Info("messages withheld", attrs...) // the client notices nothing, and nothing is broken
		return
	}
	a.log.Warn("refused", attrs...)
}

// Barred remembers and logs a client that did not come as far as to be asked who
// it is. Name is what its certificate claims; empty: none is known.
func (a *Access) Barred(listener, remote, name, why string) {
	claim := ""
	if name != "" {
		claim = Certificate + ":" + clip(name)
	}
	if at, err := netip.ParseAddrPort(remote); err == nil {
		remote = at.Addr().Unmap().WithZone("").String()
	}
	a.denied(Denial{Principal: claim, Remote: remote, Action: "TLS handshake", Resource: listener, Why: clip(why)})
}

// speak tells whether a line may be logged, and how many were not before it: a
// stranger can think of many things that are refused.
func (d *denials) speak() (muted int, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.lines == nil {
		d.lines = rate.NewLimiter(linesPerSecond, linesAtOnce)
	}
	if !d.lines.Allow() {
		d.muted++
		return 0, false
	}
	muted, d.muted = d.muted, 0
	return muted, true
}

// add counts a refusal and returns how often it was seen.
func (d *denials) add(n *Denial) uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.total++
	n.Count = 1
	if i := slices.IndexFunc(d.all, func(old Denial) bool { return old.same(n) }); i >= 0 {
		n.Count = d.all[i].Count + 1
		d.all = slices.Delete(d.all, i, i+1)
	} else if len(d.all) == maxDenials {
		d.all = slices.Delete(d.all, 0, 1)
	}
	d.all = append(d.all, *n)
	return n.Count
}

// round tells 1, 10, 100, …
func round(n uint64) bool {
	for n >= 10 && n%10 == 0 {
		n /= 10
	}
	return n == 1
}

// Denied lists recent refusals, the latest first.
func (a *Access) Denied() []Denial {
	a.denials.mu.Lock()
	defer a.denials.mu.Unlock()
	out := append([]Denial{}, a.denials.all...)
	slices.Reverse(out)
	return out
}

// Stats are the numbers for operators.
type Stats struct {
	Denied   uint64 `json:"denied"` // since the start; of messages that were withheld from a subscriber 1, 10, 100, …
	Keys     int    `json:"keys"`
	Policies int    `json:"policies"` // configured and put
	Revoked  int    `json:"revoked"`  // certificates
}

// Stats reads the numbers.
func (a *Access) Stats() Stats {
	s := a.state.Load()
	a.denials.mu.Lock()
	defer a.denials.mu.Unlock()
	return Stats{a.denials.total, len(s.keys), len(s.files) + len(s.put), len(s.revoked)}
}
