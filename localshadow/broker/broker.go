package broker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"sync/atomic"

	mqtt "github.com/mochi-mqtt/server/v2"
)

// Broker is the device gateway. Its methods may be called from many goroutines
// once Listen has returned.
type Broker struct {
	shadows  Shadows
	ca       CA
	cfg      Config
	log      *slog.Logger
	ctx      context.Context // of requests: ends when the process gives up on the store
	server   *mqtt.Server
	stats    counters
	sessions sessions
	bound    []*listener
}

// counters are what the broker counts beside mochi's own numbers.
type counters struct {
	refused, violations, malformed, slow, dropped atomic.Int64
}

// New makes a broker that answers shadow requests through shadows. A nil ca
// rules "tls: auto" out; a nil log discards.
func New(cfg Config, shadows Shadows, ca CA, log *slog.Logger) *Broker {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	b := &Broker{
		shadows: shadows, ca: ca, cfg: cfg, log: log, ctx: context.Background(),
		sessions: sessions{owner: map[string]string{}},
	}
	b.server = mqtt.New(&mqtt.Options{
		InlineClient:             true,
		SysTopicResendInterval:   60,
		ClientNetReadBufferSize:  2048,
		ClientNetWriteBufferSize: 2048,
		Logger:                   slog.New(slog.NewTextHandler(io.Discard, nil)), // prints payloads
		Capabilities:             capabilities(),
	})
	return b
}

// capabilities bound what clients may ask of mochi. No message and no session
// expires by the wall clock but a session after a week of absence.
func capabilities() *mqtt.Capabilities {
	c := mqtt.NewDefaultServerCapabilities()
	c.MaximumClients = 1000
	c.MaximumClientWritesPending = 1024
	c.MaximumPacketSize = 128<<10 + 4<<10 // payload of 128 KiB and its header
	c.MaximumInflight = 512
	c.ReceiveMaximum = 100
	c.TopicAliasMaximum = 0 // mochi asks the ACL before it resolves an alias
	c.MaximumMessageExpiryInterval = 0
	c.MaximumSessionExpiryInterval = 7 * 24 * 3600
	c.MinimumProtocolVersion = 4
	return c
}

// Listen binds every listener; nothing is served before Run.
func (b *Broker) Listen() error {
	if err := b.server.AddHook(&hook{b: b}, nil); err != nil {
		return err
	}
	for i, cfg := range b.cfg.Listeners {
		l, err := listen(fmt.Sprintf("l%d", i), cfg, b.ca, &b.stats, b.log)
		if err == nil {
			b.bound = append(b.bound, l)
			err = b.server.AddListener(l)
		}
		if err != nil {
			for _, l := range b.bound {
				err = errors.Join(err, l.net.Close())
			}
			return err
		}
	}
	return nil
}

// Addrs are the bound addresses, in the order of the configuration.
func (b *Broker) Addrs() []net.Addr {
	var out []net.Addr
	for _, l := range b.bound {
		out = append(out, l.net.Addr())
	}
	return out
}

// Run serves until ctx ends, then disconnects the clients and returns.
func (b *Broker) Run(ctx context.Context) error {
	if err := b.server.Serve(); err != nil {
		return err
	}
	<-ctx.Done()
	return b.server.Close()
}

// Publish sends a message of the gateway itself to its subscribers, at their
// QoS but 1 at most, never retained. It does not wait for any of them.
func (b *Broker) Publish(topic string, payload []byte) {
	if err := b.server.Publish(topic, payload, false, 1); err != nil {
		b.log.Warn("publish", "topic", topic, "err", err)
	}
}

// identify tells who a client is: the common name of its certificate, or
// anonymous. A user name beside a certificate is no login: AWS SDKs send one.
func (b *Broker) identify(cl *mqtt.Client) (who, fault string) {
	c, ok := cl.Net.Conn.(*conn)
	if !ok {
		return "", "not a connection of a listener"
	}
	i := slices.IndexFunc(b.bound, func(l *listener) bool { return l.id == cl.Net.Listener })
	if i < 0 {
		return "", "unknown listener"
	}
	auth := b.bound[i].auth
	if t := c.TLS(); t != nil && len(t.PeerCertificates) > 0 && slices.Contains(auth, Certificate) {
		return "certificate:" + t.PeerCertificates[0].Subject.CommonName, ""
	}
	if slices.Contains(auth, Anonymous) {
		return Anonymous, ""
	}
	return "", "it shows no certificate"
}

// Stats are the broker's numbers since the start.
type Stats struct {
	Clients       int64 `json:"clients"`       // connected now
	Subscriptions int64 `json:"subscriptions"` // now
	Retained      int64 `json:"retained"`      // messages, now
	Received      int64 `json:"received"`      // messages
	Sent          int64 `json:"sent"`          // messages
	BytesReceived int64 `json:"bytes_received"`
	BytesSent     int64 `json:"bytes_sent"`
	Dropped       int64 `json:"dropped"`    // messages that a full queue did not take
	Refused       int64 `json:"refused"`    // connections
	Violations    int64 `json:"violations"` // connections ended for a reserved topic
	Malformed     int64 `json:"malformed"`  // connections ended for a packet that can't be parsed
	Slow          int64 `json:"slow"`       // connections ended for not reading
}

// Stats reads the numbers.
func (b *Broker) Stats() Stats {
	i := b.server.Info
	return Stats{
		Clients:       max(0, atomic.LoadInt64(&i.ClientsConnected)),
		Subscriptions: atomic.LoadInt64(&i.Subscriptions),
		Retained:      atomic.LoadInt64(&i.Retained),
		Received:      atomic.LoadInt64(&i.MessagesReceived),
		Sent:          atomic.LoadInt64(&i.MessagesSent),
		BytesReceived: atomic.LoadInt64(&i.BytesReceived),
		BytesSent:     atomic.LoadInt64(&i.BytesSent),
		Dropped:       b.stats.dropped.Load() + atomic.LoadInt64(&i.InflightDropped),
		Refused:       b.stats.refused.Load(),
		Violations:    b.stats.violations.Load(),
		Malformed:     b.stats.malformed.Load(),
		Slow:          b.stats.slow.Load(),
	}
}
