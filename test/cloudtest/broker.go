package cloudtest

import (
	"bytes"
	"log/slog"
	"net"
	"sync"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// Broker puts a Cloud on the network: real MQTT on a loopback port, for a real
// client. Sessions are kept in memory.
type Broker struct {
	mochi.HookBase
	cloud    *Cloud
	server   *mochi.Server
	listener net.Listener
	wait     sync.WaitGroup

	high sync.Map // chosen

	mu    sync.Mutex
	conns map[net.Conn]bool
	watch func(m Moment, topic string, payload []byte) bool
}

// Serve starts a broker on a free port.
func Serve(c *Cloud) (*Broker, error) {
	b := &Broker{cloud: c, conns: map[net.Conn]bool{}}
	b.server = mochi.New(&mochi.Options{InlineClient: true, Logger: slog.New(slog.DiscardHandler)})
	b.server.Options.Capabilities.MaximumMessageExpiryInterval = 0
	if err := b.server.AddHook(b, nil); err != nil {
		return nil, err
	}
	if err := b.server.Serve(); err != nil {
		return nil, err
	}
	var err error
	if b.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return nil, err
	}
	c.attach(b)
	b.wait.Go(b.accept)
	return b, nil
}

// Addr is host:port.
func (b *Broker) Addr() string { return b.listener.Addr().String() }

// Cut closes every connection; sessions are kept.
func (b *Broker) Cut() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for conn := range b.conns {
		_ = conn.Close()
	}
}

// Forget drops the session of a client that is not connected.
func (b *Broker) Forget(client string) {
	if cl, ok := b.server.Clients.Get(client); ok {
		b.server.UnsubscribeClient(cl)
		b.server.Clients.Delete(client)
	}
}

// Close ends it.
func (b *Broker) Close() error {
	b.cloud.detach(b)
	err := b.listener.Close()
	b.Cut()
	b.wait.Wait() // mochi must not be closed while it takes a connection
	if closed := b.server.Close(); err == nil {
		err = closed
	}
	return err
}

func (b *Broker) accept() {
	for {
		conn, err := b.listener.Accept()
		if err != nil {
			return
		}
		b.mu.Lock()
		b.conns[conn] = true
		b.mu.Unlock()
		b.wait.Go(func() {
			_ = b.server.EstablishConnection("cloud", conn)
			_ = conn.Close()
			b.mu.Lock()
			delete(b.conns, conn)
			b.mu.Unlock()
		})
	}
}

// send is the cloud's message to everybody who subscribed.
func (b *Broker) send(topic string, payload []byte) {
	b.at(Leaving, topic, payload)
	_ = b.server.Publish(topic, payload, false, 1)
}

// ID and Provides make it a hook.
func (b *Broker) ID() string { return "cloud" }

func (b *Broker) Provides(event byte) bool {
	return bytes.Contains([]byte{mochi.OnConnectAuthenticate, mochi.OnACLCheck, mochi.OnPublish, mochi.OnPacketRead, mochi.OnPacketEncode}, []byte{event})
}

func (b *Broker) OnConnectAuthenticate(*mochi.Client, packets.Packet) bool {
	return b.at(Connecting, "", nil)
}

func (b *Broker) OnACLCheck(*mochi.Client, string, bool) bool { return true }

// OnPublish serves a request.
func (b *Broker) OnPublish(cl *mochi.Client, pk packets.Packet) (packets.Packet, error) {
	if cl.Net.Inline {
		return pk, nil
	}
	prefix, op, ok := operation(pk.TopicName)
	if !ok {
		return pk, nil
	}
	if payload := bytes.Clone(pk.Payload); b.at(Arrived, pk.TopicName, payload) {
		b.cloud.request(prefix, op, payload)
	}
	return pk, packets.CodeSuccessIgnore // acknowledged, and nobody else's
}

// fromClient sets the packet ids that clients choose apart from those of the
// server: mochi keeps both in one table.
const fromClient = 1 << 15

// chosen is a packet id that had the bit of fromClient already, on its way to
// the acknowledgement.
type chosen struct {
	client *mochi.Client
	id     uint16
}

func (b *Broker) OnPacketRead(cl *mochi.Client, pk packets.Packet) (packets.Packet, error) {
	switch pk.FixedHeader.Type {
	case packets.Publish, packets.Subscribe:
		if pk.PacketID&fromClient != 0 {
			b.high.Store(chosen{cl, pk.PacketID}, nil)
		}
		pk.PacketID |= fromClient
	case packets.Puback:
		if m, ok := cl.State.Inflight.Get(pk.PacketID); ok && !b.at(Acked, m.TopicName, m.Payload) {
			return pk, packets.ErrRejectPacket
		}
	}
	return pk, nil
}

func (b *Broker) OnPacketEncode(cl *mochi.Client, pk packets.Packet) packets.Packet {
	switch pk.FixedHeader.Type {
	case packets.Puback, packets.Suback:
		if _, ok := b.high.LoadAndDelete(chosen{cl, pk.PacketID}); !ok {
			pk.PacketID &^= fromClient
		}
	}
	return pk
}
