package upstream_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"edgeshadow/bridge/upstream"
	"edgeshadow/localshadow/access"
)

// mustEnroll puts a certificate and its key into files.
func mustEnroll(tb testing.TB, ca *access.CA, crt, key string) {
	tb.Helper()
	certificate, private, err := ca.Enroll("gw-1")
	if err != nil {
		tb.Fatal(err)
	}
	for path, data := range map[string][]byte{crt: certificate, key: private} {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			tb.Fatal(err)
		}
	}
}

// swap puts settings in force.
func swap(tb testing.TB, c *upstream.Client, cfg upstream.Config, filters ...string) {
	tb.Helper()
	commit, _, err := c.Prepare(cfg, filters)
	if err != nil {
		tb.Fatal(err)
	}
	commit()
}

// L30: another certificate is in use at once, in the session that there was: nothing
// is lost, in either direction. What did not change is not touched.
func TestClient_Prepare(t *testing.T) {
	ca := MustCA(t)
	b := MustServe(t, serverTLS(ca))
	crt, key := MustWrite(t, nil), MustWrite(t, nil)
	mustEnroll(t, ca, crt, key)
	cfg := upstream.Config{Endpoint: "mqtts://" + b.addr, Certificate: crt, Key: key, CA: MustWrite(t, ca.PEM()), PublishRate: 1_000_000}
	c, r, _ := MustRun(t, "", func(c *upstream.Client) { c.Config = cfg })
	r.await(t, "up new", 1)

	swap(t, c, cfg, "in/#")
	if err := c.Publish(t.Context(), "out", []byte("same")); err != nil {
		t.Error(err)
	}
	if n := c.Status().Connects; n != 1 {
		t.Errorf("%d connections after nothing changed", n)
	}

	ctx, cancel := context.WithCancel(t.Context())
	said := make(chan []string)
	go func() { // as who repeats what was not acknowledged
		var all []string
		for i := 0; ctx.Err() == nil; i++ {
			for ctx.Err() == nil {
				if c.Publish(ctx, "out", fmt.Append(nil, i)) == nil {
					all = append(all, fmt.Sprint(i))
					break
				}
			}
		}
		said <- all
	}()
	const swaps = 5
	for i := range swaps {
		mustEnroll(t, ca, crt, key)
		b.say(t, "in/x", fmt.Sprint("down ", i)) // mochi may lose what comes while a session moves
		swap(t, c, cfg, "in/#")
		r.await(t, "up kept", i+1)
	}
	for i := range swaps {
		r.await(t, fmt.Sprint("down ", i), 1)
	}
	cancel()
	got := b.received()
	for _, id := range <-said {
		if !slices.Contains(got, id) {
			t.Errorf("%s was acknowledged and did not arrive", id)
		}
	}
	if s := c.Status(); s.Failures != 0 || s.Why != "" {
		t.Errorf("a swap counts as a failure: %+v", s)
	}
}

// Other filters: new ones are asked for, old ones let go.
func TestClient_PrepareFilters(t *testing.T) {
	b := MustServe(t, nil)
	c, r, _ := MustRun(t, "mqtt://"+b.addr, nil)
	r.await(t, "up new", 1)
	swap(t, c, c.Config, "other/#")
	r.await(t, "up kept", 1)
	b.say(t, "in/x", "nobody asked")
	b.say(t, "other/x", "asked")
	r.await(t, "asked", 1)
	if slices.Contains(r.seen(), "nobody asked") {
		t.Error("an old filter is still subscribed")
	}
}

// Settings that can't work are an error, and nothing changes; a client that
// waits for its next attempt tries new ones at once.
func TestClient_PrepareBad(t *testing.T) {
	b := MustServe(t, nil)
	c, r, _ := MustRun(t, "mqtt://127.0.0.1:1", func(c *upstream.Client) { c.Backoff = upstream.DefaultBackoff })
	awaitStatus(t, c, "a failure", func(s upstream.Status) bool { return s.Failures > 0 })
	for want, cfg := range map[string]upstream.Config{
		"endpoint: ":          {Endpoint: "ftp://x"},
		"client certificate:": {Endpoint: "mqtts://x", Certificate: "/no/such", Key: "/no/such"},
	} {
		if _, _, err := c.Prepare(cfg, nil); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	swap(t, c, upstream.Config{Endpoint: "mqtt://" + b.addr}, "in/#")
	r.await(t, "up new", 1)
}
