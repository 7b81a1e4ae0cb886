package broker

import (
	"sync/atomic"

	mqtt "github.com/mochi-mqtt/server/v2"
)

// counters are what the broker counts beside mochi's own numbers.
type counters struct {
	own                                           atomic.Int64 // messages of the gateway, which mochi takes for received ones
	refused, violations, malformed, slow, dropped atomic.Int64
}

// Stats are the broker's numbers since the start.
type Stats struct {
	Clients       int64 `json:"clients"`       // connected now
	Subscriptions int64 `json:"subscriptions"` // now
	Received      int64 `json:"received"`      // messages from clients
	Sent          int64 `json:"sent"`          // messages to clients
	BytesReceived int64 `json:"bytes_received"`
	BytesSent     int64 `json:"bytes_sent"`
	Dropped       int64 `json:"dropped"`    // messages that a client's full queue did not take
	Refused       int64 `json:"refused"`    // connections
	Violations    int64 `json:"violations"` // connections ended for breaking a rule
	Malformed     int64 `json:"malformed"`  // connections ended for a packet that can't be parsed
	Slow          int64 `json:"slow"`       // connections ended for not reading
}

// Stats reads the numbers.
func (b *Broker) Stats() Stats {
	i := b.server.Info
	own := b.stats.own.Load()
	return Stats{
		Clients:       max(0, atomic.LoadInt64(&i.ClientsConnected)),
		Subscriptions: atomic.LoadInt64(&i.Subscriptions),
		Received:      max(0, atomic.LoadInt64(&i.MessagesReceived)-own),
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

// cutSlow notes a client that is cut off for not reading; nil is one before its CONNECT.
func (b *Broker) cutSlow(cl *mqtt.Client) {
	b.stats.slow.Add(1)
	if cl != nil {
		b.log.Warn("client disconnected", "client", cl.ID, "remote", cl.Net.Remote, "err", errSlow)
	}
}
