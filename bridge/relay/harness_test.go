package relay_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"edgeshadow/bridge/relay"
	"edgeshadow/bridge/upstream"
	"edgeshadow/test/linktest"
)

const patience = 30 * time.Second

// cloud is an MQTT broker that is not ours, and notes what it is sent.
type cloud struct {
	mochi.HookBase
	server *mochi.Server
	addr   string

	mu      sync.Mutex
	got     []upstream.Message
	changed chan struct{}
	silent  bool // notes nothing, and counts
	counted atomic.Int64
}

func (c *cloud) ID() string { return "notes" }

func (c *cloud) Provides(event byte) bool {
	return bytes.Contains([]byte{mochi.OnConnectAuthenticate, mochi.OnACLCheck, mochi.OnPublish}, []byte{event})
}

func (c *cloud) OnConnectAuthenticate(*mochi.Client, packets.Packet) bool { return true }
func (c *cloud) OnACLCheck(*mochi.Client, string, bool) bool              { return true }

func (c *cloud) OnPublish(cl *mochi.Client, pk packets.Packet) (packets.Packet, error) {
	if cl.Net.Inline {
		return pk, nil
	}
	if c.silent {
		c.counted.Add(1)
		return pk, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.got = append(c.got, upstream.Message{Topic: pk.TopicName, Payload: pk.Payload, QoS: pk.FixedHeader.Qos, Retain: pk.FixedHeader.Retain})
	close(c.changed)
	c.changed = make(chan struct{})
	return pk, nil
}

func (c *cloud) received() []upstream.Message {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]upstream.Message(nil), c.got...)
}

// await waits until what arrived fits.
func (c *cloud) await(tb testing.TB, what string, fits func([]upstream.Message) bool) []upstream.Message {
	tb.Helper()
	deadline := time.After(patience)
	for {
		c.mu.Lock()
		got, changed := c.got[:len(c.got):len(c.got)], c.changed
		c.mu.Unlock()
		if fits(got) {
			return got
		}
		select {
		case <-changed:
		case <-deadline:
			tb.Fatalf("waited for %s; %d messages came", what, len(got))
		}
	}
}

func atLeast(n int) func([]upstream.Message) bool {
	return func(got []upstream.Message) bool { return len(got) >= n }
}

func mustCloud(tb testing.TB) *cloud {
	tb.Helper()
	c := &cloud{server: mochi.New(&mochi.Options{InlineClient: true, Logger: slog.New(slog.DiscardHandler)}), changed: make(chan struct{})}
	if err := c.server.AddHook(c, nil); err != nil {
		tb.Fatal(err)
	}
	if err := c.server.Serve(); err != nil {
		tb.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	c.addr = l.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
				_ = c.server.EstablishConnection("test", conn)
			})
		}
	})
	tb.Cleanup(func() {
		cancel()
		_ = l.Close()
		wg.Wait()
		_ = c.server.Close()
	})
	return c
}

func mustLink(tb testing.TB, target string) *linktest.Proxy {
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

// here is a local broker that remembers.
type here struct {
	mu  sync.Mutex
	got []string
}

func (h *here) Send(topic string, payload []byte, qos byte, retain bool, kept func()) {
	h.mu.Lock()
	h.got = append(h.got, fmt.Sprintf("%s %s %d %v", topic, payload, qos, retain))
	h.mu.Unlock()
	kept()
}

func (h *here) received() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]string(nil), h.got...)
}

// session is a connection of the real client.
type session struct{ *upstream.Session }

func (s session) Send(ctx context.Context, topic string, payload []byte, qos byte, retain bool, done func(error)) {
	s.Session.Send(ctx, upstream.Message{Topic: topic, Payload: payload, QoS: qos, Retain: retain}, done)
}

// ends connects a relay to the client.
type ends struct {
	relay  *relay.Relay
	client *upstream.Client
	up     chan struct{} // capacity 1
}

func (e *ends) Up(bool) {
	e.relay.Up(session{e.client.Session()})
	select {
	case e.up <- struct{}{}:
	default:
	}
}
func (e *ends) Down(error)                     { e.relay.Down() }
func (e *ends) Message(string, []byte, func()) {}

// site is a relay with its uplink.
type site struct {
	*relay.Relay
	here   *here
	client *upstream.Client
	up     chan struct{}
	stop   func()
}

// mustOpen opens a relay; Stop closes it. Without an endpoint there is no uplink.
func mustOpen(tb testing.TB, cfg relay.Config, classes relay.Classes, dir, endpoint string) *site {
	tb.Helper()
	r, err := relay.Open(cfg, classes, dir, relay.Origin{Gateway: "gw-1", Boot: 7}, nil)
	if err != nil {
		tb.Fatal(err)
	}
	s := &site{Relay: r, here: &here{}, up: make(chan struct{}, 1)}
	r.Local = s.here
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = r.Run(ctx) })
	if endpoint != "" {
		e := &ends{relay: r, up: s.up}
		s.client = &upstream.Client{
			Config: upstream.Config{Endpoint: "mqtt://" + endpoint}, ClientID: "gw-1", Filters: r.Filters(), Handler: e,
			Backoff: upstream.Backoff{Min: 5 * time.Millisecond, Max: 50 * time.Millisecond, Stable: time.Minute},
			Aside: func(m upstream.Message, ack func()) bool {
				r.Message(m.Topic, m.Payload, m.QoS, m.Retain, ack)
				return true
			},
		}
		e.client = s.client
		wg.Go(func() { _ = s.client.Run(ctx) })
	}
	s.stop = sync.OnceFunc(func() {
		cancel()
		wg.Wait()
		if err := r.Close(); err != nil {
			tb.Errorf("close: %v", err)
		}
	})
	tb.Cleanup(s.stop)
	return s
}

// put sends messages through the relay and waits for their acknowledgement.
func (s *site) put(tb testing.TB, topic string, payloads ...string) {
	tb.Helper()
	var wg sync.WaitGroup
	for _, p := range payloads {
		wg.Add(1)
		if !s.Take(tb.Context(), relay.Message{Topic: topic, Payload: []byte(p)}, wg.Done) {
			tb.Fatalf("no rule takes %s", topic)
		}
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(patience):
		tb.Fatal("not acknowledged")
	}
}

func (s *site) class(tb testing.TB, name string) relay.ClassStats {
	tb.Helper()
	for _, c := range s.Stats().Classes {
		if c.Class == name {
			return c
		}
	}
	tb.Fatalf("no class %s", name)
	return relay.ClassStats{}
}

// lines are messages as "topic payload".
func lines(got []upstream.Message) []string {
	var out []string
	for _, m := range got {
		out = append(out, m.Topic+" "+string(m.Payload))
	}
	return out
}

// firsts are the payloads of a topic in the order of their first arrival.
func firsts(got []upstream.Message, topic string) []string {
	seen := map[string]bool{}
	var out []string
	for _, m := range got {
		if m.Topic == topic && !seen[string(m.Payload)] {
			seen[string(m.Payload)] = true
			out = append(out, string(m.Payload))
		}
	}
	return out
}

func numbered(n int) []string {
	var out []string
	for i := range n {
		out = append(out, fmt.Sprint(i))
	}
	return out
}

func pad(n int) string { return strings.Repeat("x", n) }

// await polls, for what can't be waited on.
func await(tb testing.TB, what string, done func() bool) {
	tb.Helper()
	for deadline := time.Now().Add(patience); !done(); {
		if time.Now().After(deadline) {
			tb.Fatalf("waited for %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}
