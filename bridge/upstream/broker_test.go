package upstream_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// broker is an MQTT broker that is not ours, with knobs.
type broker struct {
	mochi.HookBase
	server *mochi.Server
	addr   string

	mu       sync.Mutex
	deny     string          // filters that contain it are refused; "": none
	withhold bool            // PUBLISH gets no PUBACK
	suback   <-chan struct{} // SUBSCRIBE gets its answer when it is closed; nil: at once
	got      []string
}

func (b *broker) ID() string { return "knobs" }

func (b *broker) Provides(event byte) bool {
	return bytes.Contains([]byte{mochi.OnConnectAuthenticate, mochi.OnACLCheck, mochi.OnPublish, mochi.OnPacketRead, mochi.OnPacketEncode}, []byte{event})
}

// fromClient sets the packet ids that clients choose apart from those of the
// server. Mochi keeps both in one table, and would refuse a SUBSCRIBE with the
// id of a message that is not acknowledged yet.
const fromClient = 1 << 15

func (b *broker) OnPacketRead(_ *mochi.Client, pk packets.Packet) (packets.Packet, error) {
	switch pk.FixedHeader.Type {
	case packets.Publish, packets.Subscribe:
		pk.PacketID |= fromClient
	}
	return pk, nil
}

func (b *broker) OnPacketEncode(_ *mochi.Client, pk packets.Packet) packets.Packet {
	switch pk.FixedHeader.Type {
	case packets.Suback:
		b.mu.Lock()
		hold := b.suback
		b.mu.Unlock()
		if hold != nil {
			<-hold
		}
		fallthrough
	case packets.Puback:
		pk.PacketID &^= fromClient
	}
	return pk
}

func (b *broker) OnConnectAuthenticate(*mochi.Client, packets.Packet) bool { return true }

func (b *broker) OnACLCheck(_ *mochi.Client, topic string, write bool) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return write || b.deny == "" || !strings.Contains(topic, b.deny)
}

func (b *broker) OnPublish(cl *mochi.Client, pk packets.Packet) (packets.Packet, error) {
	if cl.Net.Inline {
		return pk, nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.got = append(b.got, string(pk.Payload))
	if b.withhold {
		return pk, packets.ErrRejectPacket
	}
	return pk, nil
}

func (b *broker) turn(fn func(b *broker)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	fn(b)
}

// received are the payloads that clients published.
func (b *broker) received() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]string(nil), b.got...)
}

// say publishes to subscribers.
func (b *broker) say(tb testing.TB, topic, payload string) {
	tb.Helper()
	if err := b.server.Publish(topic, []byte(payload), false, 1); err != nil {
		tb.Fatal(err)
	}
}

// unacked counts the messages that a client has not acknowledged.
func (b *broker) unacked(client string) int {
	cl, ok := b.server.Clients.Get(client)
	if !ok {
		return 0
	}
	return cl.State.Inflight.Len()
}

// forget drops the session of a client that is not connected.
func (b *broker) forget(client string) {
	if cl, ok := b.server.Clients.Get(client); ok {
		b.server.UnsubscribeClient(cl)
		b.server.Clients.Delete(client)
	}
}

// MustServe starts a broker on a free port; a nil config is without TLS.
func MustServe(tb testing.TB, config *tls.Config) *broker {
	tb.Helper()
	b := &broker{server: mochi.New(&mochi.Options{InlineClient: true, Logger: slog.New(slog.DiscardHandler)})}
	if err := b.server.AddHook(b, nil); err != nil {
		tb.Fatal(err)
	}
	if err := b.server.Serve(); err != nil {
		tb.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	b.addr = l.Addr().String()
	if config != nil {
		l = tls.NewListener(l, config)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { b.accept(ctx, l, &wg) })
	tb.Cleanup(func() {
		cancel()
		_ = l.Close()
		wg.Wait() // mochi must not be closed while it takes a connection
		_ = b.server.Close()
	})
	return b
}

func (b *broker) accept(ctx context.Context, l net.Listener, wg *sync.WaitGroup) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		wg.Go(func() {
			defer context.AfterFunc(ctx, func() { _ = c.Close() })()
			_ = b.server.EstablishConnection("test", c)
		})
	}
}
