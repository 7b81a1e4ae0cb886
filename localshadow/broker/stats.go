package broker

import (
	"sync/atomic"

	mqtt "github.com/mochi-mqtt/server/v2"
)

// counters are what the broker counts beside mochi's own numbers.
type counters struct {
	refused, violations, malformed, slow, flooding, dropped, evicted, unkept atomic.Int64
}

// Stats are the broker's numbers since the start.
type Stats struct {
	Clients       int64 `json:"clients"`       // connected now
	Sessions      int64 `json:"sessions"`      // now, those that wait for their client too
	Subscriptions int64 `json:"subscriptions"` // now
	Retained      int64 `json:"retained"`      // messages, now
	Received      int64 `json:"received"`      // messages from clients
	Sent          int64 `json:"sent"`          // messages to clients
	BytesReceived int64 `json:"bytes_received"`
	BytesSent     int64 `json:"bytes_sent"`
	Dropped       int64 `json:"dropped"`    // messages that a client's full queue did not take
	Refused       int64 `json:"refused"`    // connections
	Violations    int64 `json:"violations"` // connections ended for breaking a rule
	Malformed     int64 `json:"malformed"`  // connections ended for a packet that can't be parsed
	Slow          int64 `json:"slow"`       // connections ended for not reading
	Flooding      int64 `json:"flooding"`   // connections ended for sending too much; they are violations, too
	Evicted       int64 `json:"evicted"`    // sessions ended to make room for others
	Unkept        int64 `json:"unkept"`     // writes to the store that failed

	Memory      int64 `json:"memory"`       // bytes of messages that wait, are retained or are buffered
	MemoryBound int64 `json:"memory_bound"` // they are never more
}

// memoryBound is the sum of the bounds of what clients can make the broker
// hold, beside a fixed amount for each connection.
const memoryBound = maxQueued + maxRetainedBytes + maxBuffers + maxConnections*(fairShare+maxPacket)

// Stats reads the numbers.
func (b *Broker) Stats() Stats {
	i := b.server.Info
	retained, bytes := b.retained.size()
	b.sessions.mu.Lock()
	sessions := len(b.sessions.byID)
	b.sessions.mu.Unlock()
	return Stats{
		Clients:       max(0, atomic.LoadInt64(&i.ClientsConnected)),
		Sessions:      int64(sessions),
		Subscriptions: b.filters.count.Load(),
		Retained:      int64(retained),
		Received:      atomic.LoadInt64(&i.MessagesReceived),
		Sent:          b.traffic.sent.Load(),
		BytesReceived: atomic.LoadInt64(&i.BytesReceived),
		BytesSent:     atomic.LoadInt64(&i.BytesSent) + b.traffic.bytes.Load(),
		Dropped:       b.stats.dropped.Load(),
		Refused:       b.stats.refused.Load(),
		Violations:    b.stats.violations.Load(),
		Malformed:     b.stats.malformed.Load(),
		Slow:          b.stats.slow.Load(),
		Flooding:      b.stats.flooding.Load(),
		Evicted:       b.stats.evicted.Load(),
		Unkept:        b.stats.unkept.Load(),
		Memory:        b.budget.used.Load() + int64(bytes) + b.traffic.buffered.Load(),
		MemoryBound:   memoryBound,
	}
}

// cutSlow notes a client that is cut off for not reading; nil is one before its CONNECT.
func (b *Broker) cutSlow(cl *mqtt.Client) {
	b.stats.slow.Add(1)
	if cl != nil {
		b.log.Warn("client disconnected", "client", cl.ID, "remote", cl.Net.Remote, "err", errSlow)
	}
}
