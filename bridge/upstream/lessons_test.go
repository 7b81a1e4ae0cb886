package upstream_test

import (
	"testing"
	"time"

	"edgeshadow/bridge/upstream"
)

// L29: a cable that is pulled takes the connection with it without a word. The
// uplink is up as long as the cloud answers, and no longer.
func TestClient_CableIsPulled(t *testing.T) {
	b := MustServe(t, nil)
	link := MustLink(t, b.addr)
	c, r, _ := MustRun(t, "mqtt://"+link.Addr(), func(c *upstream.Client) { c.KeepAlive = time.Second })
	r.await(t, "up new", 1)
	link.Blackhole()
	s := awaitStatus(t, c, "down", func(s upstream.Status) bool { return s.State != upstream.Up })
	if s.Why == "" {
		t.Errorf("down without a reason: %+v", s)
	}
	link.Heal()
	awaitStatus(t, c, "up again", func(s upstream.Status) bool { return s.State == upstream.Up && s.Connects == 2 })
}
