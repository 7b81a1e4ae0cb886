package upstream_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"edgeshadow/bridge/upstream"
)

func TestClient_Order(t *testing.T) {
	b := MustServe(t, nil)
	c, r, stop := MustRun(t, "mqtt://"+b.addr, nil)
	r.await(t, "up new", 1)
	var want []string
	for i := range 300 {
		want = append(want, fmt.Sprint(i))
		b.say(t, "in/x", fmt.Sprint(i))
	}
	r.await(t, "299", 1)
	if err := c.Publish(t.Context(), "out", []byte("hello")); err != nil {
		t.Fatal(err)
	}
	s := c.Status()
	if s.State != upstream.Up || s.Connects != 1 || s.Attempts != 1 || s.MessagesIn != 300 || s.MessagesOut != 1 || s.BytesIn < 300 || s.BytesOut < 20 || s.Heard.IsZero() {
		t.Errorf("status %+v", s)
	}
	stop()
	want = append(append([]string{"up new"}, want...), "down")
	if diff := cmp.Diff(want, r.seen()); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"hello"}, b.received()); diff != "" {
		t.Error(diff)
	}
	if s := c.Status(); s.State != upstream.Down || s.Why != "" {
		t.Errorf("status after the end: %+v", s)
	}
}

// A replay longer than every queue on the way comes whole, and before Up.
func TestClient_KeptSession(t *testing.T) {
	b := MustServe(t, nil)
	link := MustLink(t, b.addr)
	_, r, _ := MustRun(t, "mqtt://"+link.Addr(), nil)
	r.await(t, "up new", 1)
	link.Cut()
	r.await(t, "down", 1)
	const n = 700
	for i := range n {
		b.say(t, "in/x", fmt.Sprint(i))
	}
	link.Heal()
	r.await(t, "up kept", 1)
	seen := r.seen()
	from, to := slices.Index(seen, "down"), slices.Index(seen, "up kept")
	if got := to - from - 1; got != n {
		t.Errorf("%d of %d messages before Up", got, n)
	}
	slices.Sort(seen)
	if all := len(slices.Compact(seen)); all != n+3 {
		t.Errorf("%d different events, want %d", all, n+3)
	}
}

func TestClient_LostSession(t *testing.T) {
	b := MustServe(t, nil)
	link := MustLink(t, b.addr)
	_, r, _ := MustRun(t, "mqtt://"+link.Addr(), nil)
	r.await(t, "up new", 1)
	link.Cut()
	r.await(t, "down", 1)
	b.forget("gw-1")
	b.say(t, "in/x", "gone")
	link.Heal()
	r.await(t, "up new", 2)
	b.say(t, "in/x", "after")
	r.await(t, "after", 1)
	if slices.Contains(r.seen(), "gone") {
		t.Error("a message of the lost session came")
	}
}

// What was not acknowledged comes again, what was does not, and an
// acknowledgement of a connection that is gone means nothing.
func TestClient_Redelivery(t *testing.T) {
	b := MustServe(t, nil)
	link := MustLink(t, b.addr)
	_, r, _ := MustRun(t, "mqtt://"+link.Addr(), func(c *upstream.Client) {
		c.Handler.(*recorder).hold = func(payload string) bool { return strings.HasPrefix(payload, "held") }
	})
	r.await(t, "up new", 1)
	b.say(t, "in/x", "held")
	b.say(t, "in/x", "done")
	r.await(t, "done", 1)
	unacked := func(n int) {
		await(t, fmt.Sprintf("%d unacknowledged", n), func() (bool, string) { return b.unacked("gw-1") == n, fmt.Sprint(b.unacked("gw-1")) })
	}
	unacked(1)
	for n := range 2 {
		link.Cut()
		r.await(t, "down", n+1)
		r.mu.Lock()
		r.acks[n]()
		r.mu.Unlock()
		link.Heal()
		r.await(t, "held", n+2)
		r.await(t, "up kept", n+1)
	}
	r.mu.Lock()
	r.acks[2]()
	r.mu.Unlock()
	unacked(0)
	link.Cut()
	r.await(t, "down", 3)
	link.Heal()
	r.await(t, "up kept", 3)
	b.say(t, "in/x", "last")
	r.await(t, "last", 1)
	counts := map[string]int{}
	for _, e := range r.seen() {
		counts[e]++
	}
	want := map[string]int{"up new": 1, "up kept": 3, "down": 3, "held": 3, "done": 1, "last": 1}
	if diff := cmp.Diff(want, counts); diff != "" {
		t.Error(diff)
	}
}

func TestClient_Publish(t *testing.T) {
	t.Run("Down", func(t *testing.T) {
		b := MustServe(t, nil)
		link := MustLink(t, b.addr)
		c, r, _ := MustRun(t, "mqtt://"+link.Addr(), nil)
		r.await(t, "up new", 1)
		link.Refuse()
		r.await(t, "down", 1)
		if err := c.Publish(t.Context(), "out", nil); !errors.Is(err, upstream.ErrDown) {
			t.Errorf("got %v, want ErrDown", err)
		}
		link.Heal()
		r.await(t, "up kept", 1)
		if err := c.Publish(t.Context(), "out", []byte("x")); err != nil {
			t.Error(err)
		}
	})
	// The publish arrives, its PUBACK does not: nobody may call that done.
	t.Run("LostPuback", func(t *testing.T) {
		b := MustServe(t, nil)
		link := MustLink(t, b.addr)
		c, r, _ := MustRun(t, "mqtt://"+link.Addr(), nil)
		r.await(t, "up new", 1)
		link.Mute()
		result := make(chan error, 1)
		go func() { result <- c.Publish(context.Background(), "out", []byte("x")) }()
		await(t, "the publish to arrive", func() (bool, string) { return len(b.received()) == 1, "none" })
		link.Heal() // which resets
		if err := <-result; !errors.Is(err, upstream.ErrDown) {
			t.Errorf("got %v, want ErrDown", err)
		}
		r.await(t, "up kept", 1)
		if err := c.Publish(t.Context(), "out", []byte("y")); err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff([]string{"x", "y"}, b.received()); diff != "" {
			t.Errorf("repeated without being asked: %s", diff)
		}
	})
	// A caller that gives up leaves its message in flight.
	t.Run("Window", func(t *testing.T) {
		b := MustServe(t, nil)
		c, r, _ := MustRun(t, "mqtt://"+b.addr, nil)
		r.await(t, "up new", 1)
		b.turn(func(b *broker) { b.withhold = true })
		ctx, cancel := context.WithCancel(t.Context())
		results := make(chan error, 100)
		for range cap(results) {
			go func() { results <- c.Publish(ctx, "out", []byte("x")) }()
		}
		await(t, "a full window", func() (bool, string) {
			return len(b.received()) == upstream.MaxUnacked, fmt.Sprint(len(b.received()))
		})
		cancel()
		for range cap(results) {
			if err := <-results; !errors.Is(err, context.Canceled) {
				t.Errorf("got %v, want context.Canceled", err)
			}
		}
		short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if err := c.Publish(short, "out", []byte("x")); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want context.DeadlineExceeded", err)
		}
		if got := len(b.received()); got != upstream.MaxUnacked {
			t.Errorf("%d in flight, want %d", got, upstream.MaxUnacked)
		}
	})
}

// Nil is said only of what arrived, whatever happens to the link.
func TestClient_PublishThroughCuts(t *testing.T) {
	b := MustServe(t, nil)
	link := MustLink(t, b.addr)
	c, r, _ := MustRun(t, "mqtt://"+link.Addr(), nil)
	r.await(t, "up new", 1)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan map[string]bool)
	for w := range 4 {
		go func() {
			said := map[string]bool{}
			for i := 0; ctx.Err() == nil; i++ {
				id := fmt.Sprintf("%d-%d", w, i)
				if c.Publish(ctx, "out", []byte(id)) == nil {
					said[id] = true
				}
			}
			done <- said
		}()
	}
	spoil := []func(){link.Cut, link.Refuse, link.Mute, link.Blackhole}
	for i := range 24 {
		kept := i // the session is kept from the first connection on
		before := len(b.received())
		await(t, "a publish", func() (bool, string) { return len(b.received()) > before, "none" })
		spoil[i%len(spoil)]()
		link.Heal()
		r.await(t, "up kept", kept+1)
	}
	cancel()
	got := map[string]int{}
	said := 0
	for _, id := range b.received() {
		got[id]++
	}
	for range 4 {
		for id := range <-done {
			said++
			if got[id] != 1 {
				t.Errorf("%s is said to be done and arrived %d times", id, got[id])
			}
		}
	}
	if said < 24 {
		t.Errorf("only %d publishes got through", said)
	}
}

// An idle uplink costs its keep-alive: two bytes each way, which is 11,520
// bytes of MQTT in a day of DefaultKeepAlive.
func TestClient_Idle(t *testing.T) {
	b := MustServe(t, nil)
	c, r, _ := MustRun(t, "mqtt://"+b.addr, func(c *upstream.Client) { c.KeepAlive = 2 * time.Second })
	r.await(t, "up new", 1)
	before := c.Status()
	s := awaitStatus(t, c, "a ping", func(s upstream.Status) bool { return s.BytesIn >= before.BytesIn+2 })
	up, down := s.BytesOut-before.BytesOut, s.BytesIn-before.BytesIn
	if up != down || up != 2 {
		t.Errorf("%d bytes up and %d down for a ping", up, down)
	}
	if day := 2 * 2 * int64(24*time.Hour/upstream.DefaultKeepAlive); day != 11_520 {
		t.Errorf("a day costs %d bytes", day)
	}
	if s.Connects != 1 || s.MessagesIn+s.MessagesOut != 0 {
		t.Errorf("%+v", s)
	}
}
