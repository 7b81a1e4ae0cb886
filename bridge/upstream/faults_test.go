package upstream_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"edgeshadow/bridge/upstream"
)

// The fault points of SYNC e2 that end below the reconciler.

// F-1: nobody listens. The client says so, tries on, and connects when somebody does.
func TestFaults_F1_ConnectRefused(t *testing.T) {
	b := MustServe(t, nil)
	link := MustLink(t, b.addr)
	link.Refuse()
	c, r, _ := MustRun(t, "mqtt://"+link.Addr(), nil)
	s := awaitStatus(t, c, "three attempts", func(s upstream.Status) bool { return s.Attempts >= 3 && s.Why != "" })
	if s.State == upstream.Up || s.Connects != 0 || !strings.Contains(s.Why, "refused") || s.Hint == "" {
		t.Errorf("while nobody listens: %+v", s)
	}
	link.Heal()
	r.await(t, "up new", 1)
	if s := c.Status(); s.Why != "" {
		t.Errorf("connected, with %q", s.Why)
	}
}

// F-2: the connection is made, and TLS stands still. Nobody is told of a session,
// and the handshake goes on when the link does.
func TestFaults_F2_TLSStalls(t *testing.T) {
	ca := MustCA(t)
	b := MustServe(t, serverTLS(ca))
	link := MustLink(t, b.addr)
	link.Stall()
	certificate, key, err := ca.Enroll("gw-1")
	if err != nil {
		t.Fatal(err)
	}
	c, r, _ := MustRun(t, "mqtts://"+link.Addr(), func(c *upstream.Client) {
		c.Config.CA, c.Config.Certificate, c.Config.Key = MustWrite(t, ca.PEM()), MustWrite(t, certificate), MustWrite(t, key)
	})
	await(t, "a connection", func() (bool, string) { return link.Accepted() == 1, "none" })
	if s := c.Status(); s.State == upstream.Up || s.Connects != 0 {
		t.Errorf("during the handshake: %+v", s)
	}
	link.Cut() // the other side gives up
	awaitStatus(t, c, "the next attempt", func(s upstream.Status) bool { return s.Attempts >= 2 })
	link.Heal()
	r.await(t, "up new", 1)
	if seen := r.seen(); !slices.Equal(seen, []string{"up new"}) {
		t.Errorf("the handler was told %q", seen)
	}
}

// F-8: as long as the SUBACK has not come there is no session, and what the
// broker sends meanwhile is not lost.
func TestFaults_F8_SubackDelayed(t *testing.T) {
	b := MustServe(t, nil)
	hold := make(chan struct{})
	release := sync.OnceFunc(func() { close(hold) })
	t.Cleanup(release)
	b.turn(func(b *broker) { b.suback = hold })
	c, r, _ := MustRun(t, "mqtt://"+b.addr, nil)
	await(t, "a subscription", func() (bool, string) { return len(b.subscriptions("gw-1")) == 1, "none" })
	if s := c.Status(); s.State == upstream.Up || len(r.seen()) > 0 {
		t.Errorf("without a SUBACK the handler was told %q; %+v", r.seen(), s)
	}
	said := make(chan struct{})
	go func() {
		defer close(said)
		b.say(t, "in/x", "early")
	}()
	release()
	<-said
	r.await(t, "up new", 1)
	r.await(t, "early", 1)
}

// F-8: a refused filter is no subscription, whatever became of the others.
func TestFaults_F8_PartlyRefused(t *testing.T) {
	b := MustServe(t, nil)
	b.turn(func(b *broker) { b.deny = "in/b" })
	c, r, _ := MustRun(t, "mqtt://"+b.addr, func(c *upstream.Client) { c.Filters = []string{"in/a", "in/b"} })
	s := awaitStatus(t, c, "the refusal", func(s upstream.Status) bool { return strings.Contains(s.Why, "subscription refused: in/b") })
	if s.Hint == "" || slices.Contains(r.seen(), "up new") {
		t.Errorf("%+v; the handler was told %q", s, r.seen())
	}
	b.turn(func(b *broker) { b.deny = "" })
	await(t, "a session", func() (bool, string) {
		seen := r.seen()
		return len(seen) > 0 && strings.HasPrefix(seen[len(seen)-1], "up"), fmt.Sprint(seen)
	})
}
