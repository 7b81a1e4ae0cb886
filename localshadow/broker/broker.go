package broker

import (
	"context"
	"errors"
	"hash/maphash"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"

	"edgeshadow/localshadow"
)

// Broker is the device gateway. Publish and Stats may be called at any time,
// from many goroutines.
type Broker struct {
	// Access says who clients are and what they may do; nil: whoever shows what
	// the listener wants may do everything. Set it before Listen.
	Access Access
	// Store keeps sessions that last and retained messages; nil: they end with
	// the broker. Set it before Listen.
	Store *localshadow.Store
	// Relay takes messages on ordinary topics further; nil: they stay here. Set
	// it before Listen.
	Relay Relay
	// Handler serves the requests of http listeners; PrincipalOf tells it who
	// asks. Nil: nothing is found. Set it before Run.
	Handler http.Handler
	// Public serves the requests of http listeners that it has a pattern for, and
	// nobody is asked who sends them. Set it before Run.
	Public *http.ServeMux

	shadows  Shadows
	ca       CA
	cfg      Config
	log      *slog.Logger
	ctx      context.Context // Run's: mochi's hooks are given none
	server   *mqtt.Server
	web      *web
	arrivals atomic.Int64 // connections so far
	listened int          // listeners that were bound so far
	gate     *gate
	turns    turns
	rate     atomic.Int64 // packets per second of one client
	began    time.Time
	filters  filters
	sessions sessions
	retained retained
	budget   budget
	keeper   *keeper
	traffic  traffic
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
		gate: newGate(), turns: turns{seed: maphash.MakeSeed()}, began: time.Now(),
		sessions: sessions{byID: map[string]*session{}}, retained: retained{byTopic: map[string]*message{}},
	}
	b.server = mqtt.New(&mqtt.Options{
		SysTopicResendInterval:   1 << 31, // seconds: sys.go does it
		ClientNetReadBufferSize:  2048,
		ClientNetWriteBufferSize: 2048,
		Logger:                   slog.New(slog.DiscardHandler), // it prints whole packets; what matters is logged here
		Capabilities:             capabilities(),
	})
	b.rate.Store(cfg.Limits.rate())
	b.web = newWeb(b)
	return b
}

const (
	// receiveMaximum is how many messages of QoS 1 and 2 a client of MQTT 5 may
	// have under way.
	receiveMaximum = 100
	// maxPacket has room for a payload of 128 KiB and what comes before it.
	maxPacket = 128<<10 + 4<<10
)

// capabilities bound what clients may ask of mochi. It knows no session, no
// subscription and no message: see doc.go.
func capabilities() *mqtt.Capabilities {
	c := mqtt.NewDefaultServerCapabilities()
	c.MaximumClients = maxClients
	c.MaximumClientWritesPending = 1
	c.MaximumPacketSize = maxPacket
	c.MaximumInflight = 1<<16 - 1
	c.ReceiveMaximum = receiveMaximum
	c.TopicAliasMaximum = 0 // see resolve
	c.MaximumMessageExpiryInterval = 0
	c.MinimumProtocolVersion = 4
	c.Compatibilities.NoInheritedPropertiesOnAck = true // a PUBACK has its own [MQTT-3.4.2]
	return c
}

// Listen binds every listener; nothing is served before Run.
func (b *Broker) Listen() error {
	if b.Access == nil {
		b.Access = trusting{b.log}
	}
	b.keeper = newKeeper(b.Store, func(err error) {
		b.stats.unkept.Add(1)
		b.log.Warn("sessions and retained messages can't be stored", "err", err)
	})
	if err := errors.Join(b.load(), b.server.AddHook(&hook{b: b}, nil)); err != nil {
		return err
	}
	return b.bindAll()
}

// Run serves until ctx ends, then disconnects the clients, sends their last
// wills, writes what waits for those that come back, and returns.
func (b *Broker) Run(ctx context.Context) error {
	b.ctx = ctx
	var aside sync.WaitGroup
	if b.Store != nil {
		aside.Go(b.keeper.run)
	}
	aside.Go(func() { b.runSys(ctx) })
	served := make(chan error, 1)
	go func() { served <- b.web.run() }()
	err := b.server.Serve()
	if err == nil {
		<-ctx.Done()
	}
	b.web.stop() // requests under way are answered
	if err == nil {
		err = b.server.Close()
	}
	err = errors.Join(err, <-served)
	b.sessions.endAll()
	close(b.keeper.stop)
	aside.Wait()
	return err
}
