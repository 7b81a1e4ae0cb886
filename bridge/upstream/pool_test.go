package upstream_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"edgeshadow/bridge/upstream"
)

// MustRunPool runs a pool until the end of the test.
func MustRunPool(tb testing.TB, endpoint string, filters []string, set func(p *upstream.Pool)) (*upstream.Pool, *recorder) {
	tb.Helper()
	r := &recorder{}
	p := &upstream.Pool{Client: upstream.Client{
		Config: upstream.Config{Endpoint: endpoint}, ClientID: "gw-1", Filters: filters, Handler: r, Backoff: quick,
	}}
	if set != nil {
		set(p)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := p.Run(ctx); err != nil {
			tb.Errorf("Run: %v", err)
		}
	})
	tb.Cleanup(func() {
		cancel()
		wg.Wait()
	})
	return p, r
}

// subscriptions are the filters that a client of the broker has, in order.
func (b *broker) subscriptions(client string) []string {
	cl, ok := b.server.Clients.Get(client)
	if !ok {
		return nil
	}
	var out []string
	for f := range cl.State.Subscriptions.GetAll() {
		out = append(out, f)
	}
	slices.Sort(out)
	return out
}

func topics(n int) []string {
	var out []string
	for i := range n {
		out = append(out, fmt.Sprintf("in/%03d", i))
	}
	return out
}

// AWS allows 50 subscriptions of a connection (SHADOW 27): more connections are
// made, which are one to the handler.
func TestPool_Connections(t *testing.T) {
	b := MustServe(t, nil)
	link := MustLink(t, b.addr)
	p, r := MustRunPool(t, "mqtt://"+link.Addr(), topics(120), nil)
	r.await(t, "up new", 1)
	for id, want := range map[string][]string{"gw-1": topics(120)[:50], "gw-1-2": topics(120)[50:100], "gw-1-3": topics(120)[100:]} {
		if diff := cmp.Diff(want, b.subscriptions(id)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", id, diff)
		}
	}
	for _, topic := range []string{"in/000", "in/077", "in/119"} {
		b.say(t, topic, topic)
		r.await(t, topic, 1)
	}
	if err := p.Publish(t.Context(), "out", []byte("x")); err != nil {
		t.Error(err)
	}
	if s := p.Status(); s.State != upstream.Up || s.Connections != 3 || s.Connects != 3 || s.MessagesIn != 3 || s.MessagesOut != 1 {
		t.Errorf("status %+v", s)
	}
	// One that is lost takes the whole down, until it is back.
	cl, _ := b.server.Clients.Get("gw-1-2")
	cl.Stop(context.Canceled)
	r.await(t, "down", 1)
	r.await(t, "up kept", 1)
	b.say(t, "in/099", "again")
	r.await(t, "again", 1)
	link.Cut()
	r.await(t, "down", 2)
	link.Heal()
	r.await(t, "up kept", 2)
	// Fewer filters need fewer connections.
	commit, _, err := p.Prepare(upstream.Config{Endpoint: "mqtt://" + link.Addr()}, topics(60))
	if err != nil {
		t.Fatal(err)
	}
	commit()
	await(t, "two connections", func() (bool, string) {
		s := p.Status()
		return s.Connections == 2 && s.State == upstream.Up && len(b.subscriptions("gw-1-2")) == 10, fmt.Sprintf("%+v", s)
	})
}

// F-8: a policy may refuse wildcards in the place of things (SYNC d10): then each
// thing's own filters are asked for, those of new things too.
func TestPool_WildcardsRefused(t *testing.T) {
	b := MustServe(t, nil)
	b.turn(func(b *broker) { b.deny = "+" })
	var mu sync.Mutex
	things := []string{"a", "b"}
	_, r := MustRunPool(t, "mqtt://"+b.addr, []string{"in/+/x", "in/+/y", "own"}, func(p *upstream.Pool) {
		p.InPlaceOf = func(filter string) []string {
			mu.Lock()
			defer mu.Unlock()
			var out []string
			for _, thing := range things {
				out = append(out, strings.Replace(filter, "+", thing, 1))
			}
			return out
		}
	})
	r.await(t, "up new", 1)
	if diff := cmp.Diff([]string{"in/a/x", "in/a/y", "in/b/x", "in/b/y", "own"}, b.subscriptions("gw-1")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	b.say(t, "in/b/y", "heard")
	r.await(t, "heard", 1)
}

// New things are subscribed without being asked for.
func TestPool_NewThings(t *testing.T) {
	b := MustServe(t, nil)
	b.turn(func(b *broker) { b.deny = "+" })
	var mu sync.Mutex
	things := topics(1)
	p, r := MustRunPool(t, "mqtt://"+b.addr, []string{"+"}, func(p *upstream.Pool) {
		p.InPlaceOf = func(string) []string {
			mu.Lock()
			defer mu.Unlock()
			return slices.Clone(things)
		}
	})
	r.await(t, "up new", 1)
	mu.Lock()
	things = topics(51)
	mu.Unlock()
	p.Refresh()
	await(t, "a second connection", func() (bool, string) {
		return len(b.subscriptions("gw-1")) == 50 && len(b.subscriptions("gw-1-2")) == 1, fmt.Sprintf("%+v", p.Status())
	})
	b.say(t, "in/050", "new")
	r.await(t, "new", 1)
}

// F-8: without others in their place a refusal stands, and is told.
func TestPool_RefusalStands(t *testing.T) {
	b := MustServe(t, nil)
	b.turn(func(b *broker) { b.deny = "in/" })
	p, _ := MustRunPool(t, "mqtt://"+b.addr, []string{"in/+"}, func(p *upstream.Pool) {
		p.InPlaceOf = func(string) []string { return []string{"in/a"} } // refused as well
	})
	await(t, "the refusal", func() (bool, string) {
		s := p.Status()
		return strings.Contains(s.Why, "subscription refused: in/a"), fmt.Sprintf("%+v", s)
	})
}

// A connection of the pool sends no more than its rate: tested by the clock of
// a bubble.
func TestPace(t *testing.T) {
	for _, row := range []struct {
		rate, messages, size int
		want                 time.Duration
	}{
		{0, 1000, 1000, 0},
		{80, 80, 100, 0},
		{80, 240, 100, 2 * time.Second},
		{80, 8, 128 << 10, 1280 * time.Millisecond}, // 1 MiB, 400 KiB a second after the first 512
	} {
		if got := upstream.PaceFor(t, row.rate, row.messages, row.size); (got - row.want).Abs() > 20*time.Millisecond {
			t.Errorf("%d messages of %d bytes at %d a second take %v, want %v", row.messages, row.size, row.rate, got, row.want)
		}
	}
}
