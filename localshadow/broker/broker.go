package broker

import (
	"context"
	"errors"
	"hash/maphash"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// Broker is the device gateway. Publish and Stats may be called at any time,
// from many goroutines.
type Broker struct {
	// Access says who clients are and what they may do; nil: whoever shows what
	// the listener wants may do everything. Set it before Listen.
	Access Access
	// Relay takes messages on ordinary topics further; nil: they stay here. Set
	// it before Listen.
	Relay Relay
	// Handler serves the requests of http listeners; PrincipalOf tells it who
	// asks. Nil: nothing is found. Set it before Run.
	Handler http.Handler

	shadows  Shadows
	ca       CA
	cfg      Config
	log      *slog.Logger
	ctx      context.Context // Run's: mochi's hooks are given none
	server   *mqtt.Server
	self     *mqtt.Client // what the gateway publishes comes from it
	web      *web
	listened int // listeners that were bound so far
	gate     *gate
	turns    turns
	fan      sync.RWMutex // read-locked while a message is delivered, see locks
	places   atomic.Int64 // of deliveries, see OnQosPublish
	stats    counters

	binding sync.Mutex // guards bound
	bound   []*listener
}

// New makes a broker that answers shadow requests through shadows. A nil ca
// rules "tls: auto" out; a nil log discards.
func New(cfg Config, shadows Shadows, ca CA, log *slog.Logger) *Broker {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	b := &Broker{
		shadows: shadows, ca: ca, cfg: cfg, log: log, ctx: context.Background(),
		gate: newGate(), turns: turns{seed: maphash.MakeSeed()},
	}
	b.server = mqtt.New(&mqtt.Options{
		SysTopicResendInterval:   60, // seconds; it can't be switched off
		ClientNetReadBufferSize:  2048,
		ClientNetWriteBufferSize: 2048,
		Logger:                   slog.New(slog.DiscardHandler), // it prints whole packets; what matters is logged here
		Capabilities:             capabilities(),
	})
	b.web = newWeb(b)
	b.self = b.server.NewClient(nil, mqtt.LocalListener, mqtt.InlineClientId, true)
	return b
}

// receiveMaximum is how many messages of QoS 1 and 2 a client of MQTT 5 may
// have under way.
const receiveMaximum = 100

// capabilities bound what clients may ask of mochi. Nothing expires by the wall
// clock but a session, after a week of absence.
func capabilities() *mqtt.Capabilities {
	c := mqtt.NewDefaultServerCapabilities()
	c.MaximumClients = maxClients
	c.MaximumClientWritesPending = 1024
	c.MaximumPacketSize = 128<<10 + 4<<10 // a payload of 128 KiB, and what comes before it
	c.MaximumInflight = 512
	c.ReceiveMaximum = receiveMaximum
	c.TopicAliasMaximum = 0 // mochi asks who may publish before it resolves an alias
	c.MaximumMessageExpiryInterval = 0
	c.MaximumSessionExpiryInterval = 7 * 24 * 3600
	c.MinimumProtocolVersion = 4
	c.Compatibilities.NoInheritedPropertiesOnAck = true // a PUBACK has its own [MQTT-3.4.2]
	return c
}

// Listen binds every listener; nothing is served before Run.
func (b *Broker) Listen() error {
	if b.Access == nil {
		b.Access = trusting{}
	}
	if err := b.server.AddHook(&hook{b: b}, nil); err != nil {
		return err
	}
	return b.bindAll()
}

// Run serves until ctx ends, then disconnects the clients, sends their last
// wills and returns.
func (b *Broker) Run(ctx context.Context) error {
	b.ctx = ctx
	served := make(chan error, 1)
	go func() { served <- b.web.run() }()
	if err := b.server.Serve(); err != nil {
		b.web.stop()
		return errors.Join(err, <-served)
	}
	<-ctx.Done()
	b.web.stop() // requests under way are answered
	return errors.Join(b.server.Close(), <-served)
}

// Publish sends a message of the gateway itself to its subscribers, at their
// QoS but 1 at most, never retained. It waits for none of them.
func (b *Broker) Publish(topic string, payload []byte) {
	b.inject(packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Publish, Qos: 1},
		TopicName:   topic,
		Payload:     payload,
		PacketID:    1, // any: mochi wants one
	})
}

func (b *Broker) inject(pk packets.Packet) {
	b.fan.RLock()
	defer b.fan.RUnlock()
	if err := b.server.InjectPacket(b.self, pk); err != nil {
		b.log.Warn("publish", "topic", pk.TopicName, "err", err)
		return
	}
	b.stats.own.Add(1)
}
