package access

import (
	"context"
	"time"
)

// Decide is what one policy says to a client.
func Decide(p *Policy, c Credentials, things Things, name, resource string) bool {
	a, ok := actionNamed(name)
	if !ok {
		return false
	}
	who := &Principal{kind: Anonymous, access: &Access{things: things}, env: environment(c)}
	if c.Certificate != nil {
		who.kind, who.who = Certificate, c.Certificate.Subject.CommonName
	}
	allowed, _ := bind([]*Policy{p}, who.values()).decide(a, resource)
	return allowed
}

// Allowing is the statement that would allow something.
func Allowing(name, resource string) string {
	a, _ := actionNamed(name)
	return allowing(a, resource)
}

// Guess tries passwords without checking any.
type Guess struct{ t *throttle }

func Guesser(a *Access) Guess                  { return Guess{&a.throttle} }
func (g Guess) Try(address, name string) error { return g.t.admit(address, name) }
func (g Guess) Succeed(address, name string)   { g.t.succeed(address, name) }
func (g Guess) Tracked() int                   { return len(g.t.failed) }
func (g Guess) Fail(address, name string) error {
	err := g.t.admit(address, name)
	g.t.fail(address, name)
	return err
}

// Expire is what Run does each minute.
func Expire(a *Access, ctx context.Context) { a.expire(ctx) }

// SetClock makes the CA see another time.
func (ca *CA) SetClock(now func() time.Time) { ca.clock.now = now }

// SetHosts makes the CA see other addresses of the machine.
func (ca *CA) SetHosts(hosts ...string) { ca.hosts = func() []string { return hosts } }

// SaveClock keeps the time, if it is to be kept.
func (ca *CA) SaveClock() error { return ca.clock.save() }
