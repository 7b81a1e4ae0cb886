package relay_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"edgeshadow/bridge/relay"
	"edgeshadow/bridge/upstream"
)

// fickle is a connection that is lost after so many messages, of which it then
// leaves some unanswered, and some it had taken.
type fickle struct {
	cloud *notes
	lives int // messages until it is lost

	mu      sync.Mutex
	pending []func(error)
	lost    chan struct{}
	closed  bool
}

// notes is what arrived over all connections.
type notes struct {
	mu  sync.Mutex
	got []upstream.Message
}

func (f *fickle) Lost() <-chan struct{} { return f.lost }

func (f *fickle) Send(_ context.Context, topic string, payload []byte, _ byte, _ bool, done func(error)) {
	f.mu.Lock()
	if f.closed {
		f.mu.Unlock()
		done(errors.New("lost"))
		return
	}
	f.cloud.mu.Lock()
	f.cloud.got = append(f.cloud.got, upstream.Message{Topic: topic, Payload: payload})
	f.cloud.mu.Unlock()
	f.pending = append(f.pending, done)
	var acked, failed []func(error)
	if len(f.pending) > rand.IntN(16) {
		acked, f.pending = f.pending, nil
	}
	if f.lives--; f.lives <= 0 {
		failed = f.end()
	}
	f.mu.Unlock()
	for _, done := range acked {
		done(nil)
	}
	for _, done := range failed {
		done(errors.New("lost"))
	}
}

func (f *fickle) end() (failed []func(error)) {
	if !f.closed {
		f.closed = true
		close(f.lost)
	}
	failed, f.pending = f.pending, nil
	return failed
}

func (f *fickle) lose() {
	f.mu.Lock()
	failed := f.end()
	f.mu.Unlock()
	for _, done := range failed {
		done(errors.New("lost"))
	}
}

// Whatever is live or backlog, with more topics than are counted one by one,
// and over any number of connections: nothing is lost, and every topic keeps
// its order.
func TestRelay_Order(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	r, err := relay.Open(up, relay.Classes{"telemetry": {Size: 8 << 20, Full: relay.Refuse}}, t.TempDir(), relay.Origin{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = r.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		wg.Wait()
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	var cloud notes
	start := make(chan struct{})
	wg.Go(func() { // connections come and go, after an outage
		<-start
		for ctx.Err() == nil {
			f := &fickle{cloud: &cloud, lives: 1 + rand.IntN(800), lost: make(chan struct{})}
			r.Up(f)
			select {
			case <-f.lost:
			case <-time.After(time.Duration(rand.IntN(100)) * time.Millisecond):
			case <-ctx.Done():
			}
			f.lose()
			r.Down()
			if rand.IntN(3) == 0 {
				time.Sleep(time.Duration(rand.IntN(30)) * time.Millisecond) // a backlog grows
			}
		}
	})
	const n = 30_000
	counts := map[string]int{}
	for i := range n {
		if i == n/2 {
			close(start)
		}
		topic := fmt.Sprint(random.IntN(8)) // a few busy ones
		if random.IntN(2) == 0 {
			topic = fmt.Sprint(random.IntN(8000)) // more than are counted
		}
		r.Take(ctx, relay.Message{Topic: "line/" + topic + "/data", Payload: fmt.Append(nil, counts[topic])}, func() {})
		counts[topic]++
	}
	s := &site{Relay: r}
	await(t, "an empty journal", func() bool { st := s.class(t, "telemetry"); return st.Taken == n && st.Pending == 0 })
	next := map[string]int{}
	for _, m := range cloud.got {
		var k int
		if _, err := fmt.Sscan(string(m.Payload), &k); err != nil {
			t.Fatal(err)
		}
		switch {
		case k == next[m.Topic]:
			next[m.Topic]++
		case k > next[m.Topic]:
			t.Fatalf("%s: message %d before message %d", m.Topic, k, next[m.Topic])
		}
	}
	for topic, want := range counts {
		if got := next["site1/"+topic+"/data"]; got != want {
			t.Errorf("%s: %d of %d messages", topic, got, want)
		}
	}
	t.Logf("%d messages, %d arrivals, %d overtook", n, len(cloud.got), s.class(t, "telemetry").Overtook)
}
