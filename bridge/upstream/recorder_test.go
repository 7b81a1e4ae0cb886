package upstream_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"edgeshadow/bridge/upstream"
	"edgeshadow/test/linktest"
)

// patience is how long an await waits before the test fails.
const patience = 20 * time.Second

// quick keeps tests short.
var quick = upstream.Backoff{Min: 5 * time.Millisecond, Max: 50 * time.Millisecond, Stable: time.Minute}

// recorder is a handler that remembers.
type recorder struct {
	mu     sync.Mutex
	events []string                  // "up kept", "up new", "down", payloads
	hold   func(payload string) bool // whether a message stays unacknowledged
	acks   []func()
	cause  error
}

func (r *recorder) add(event string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, event)
}

func (r *recorder) Up(kept bool) {
	if kept {
		r.add("up kept")
	} else {
		r.add("up new")
	}
}

func (r *recorder) Down(err error) {
	r.mu.Lock()
	r.cause = err
	r.mu.Unlock()
	r.add("down")
}

func (r *recorder) Message(_ string, payload []byte, ack func()) {
	r.mu.Lock()
	hold := r.hold != nil && r.hold(string(payload))
	if hold {
		r.acks = append(r.acks, ack)
	}
	r.mu.Unlock()
	r.add(string(payload))
	if !hold {
		ack()
	}
}

// seen are the events so far.
func (r *recorder) seen() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.events...)
}

// await waits for the nth event of a kind.
func (r *recorder) await(tb testing.TB, event string, n int) {
	tb.Helper()
	await(tb, fmt.Sprintf("%d × %q", n, event), func() (bool, string) {
		count := 0
		for _, e := range r.seen() {
			if e == event {
				count++
			}
		}
		return count >= n, strings.Join(r.seen(), ", ")
	})
}

// await polls, for what can't be waited on.
func await(tb testing.TB, what string, done func() (bool, string)) {
	tb.Helper()
	for deadline := time.Now().Add(patience); ; {
		ok, have := done()
		if ok {
			return
		}
		if time.Now().After(deadline) {
			tb.Fatalf("waited for %s; have %s", what, have)
		}
		time.Sleep(time.Millisecond)
	}
}

// awaitStatus waits for a state of the client.
func awaitStatus(tb testing.TB, c *upstream.Client, what string, fits func(upstream.Status) bool) upstream.Status {
	tb.Helper()
	var s upstream.Status
	await(tb, what, func() (bool, string) {
		s = c.Status()
		return fits(s), fmt.Sprintf("%+v", s)
	})
	return s
}

// MustRun runs a client until the end of the test, or until stop, which waits
// for it. Set changes it before.
func MustRun(tb testing.TB, endpoint string, set func(c *upstream.Client)) (c *upstream.Client, r *recorder, stop func()) {
	tb.Helper()
	r = &recorder{}
	c = &upstream.Client{
		Config: upstream.Config{Endpoint: endpoint}, ClientID: "gw-1",
		Filters: []string{"in/#"}, Handler: r, Backoff: quick,
	}
	if set != nil {
		set(c)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- c.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				tb.Errorf("Run: %v", err)
			}
		case <-time.After(patience):
			tb.Error("Run does not end")
		}
	})
	tb.Cleanup(stop)
	return c, r, stop
}

// MustLink puts a link with knobs before an address.
func MustLink(tb testing.TB, target string) *linktest.Proxy {
	tb.Helper()
	p := linktest.New(target)
	if err := p.Listen("127.0.0.1:0"); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := p.Close(); err != nil {
			tb.Error(err)
		}
	})
	return p
}
