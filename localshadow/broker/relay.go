package broker

import (
	"context"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// Message is a message on an ordinary topic.
type Message struct {
	Topic   string
	Payload []byte
	QoS     byte
	Retain  bool
}

// Relay is who takes messages of clients further than to their subscribers.
type Relay interface {
	// Take tells whether it takes a message over, which is the callee's then. It
	// calls acked once, in any goroutine, when the message can't be lost any
	// more; never, when it could not be kept. It may block while its queue is
	// full, until ctx ends. It does not call back into the broker.
	Take(ctx context.Context, m Message, acked func()) bool
}

// relayed offers the relay a message of a client. One that it takes is sent to
// its subscribers at once, while its acknowledgement waits for the relay.
func (h *hook) relayed(cl *mqtt.Client, pk packets.Packet, w wire) bool {
	if h.b.Relay == nil || !h.b.Relay.Take(h.b.ctx, messageOf(pk), later(cl, w)) {
		return false
	}
	h.mirror(cl, pk)
	return true
}

func messageOf(pk packets.Packet) Message {
	return Message{Topic: pk.TopicName, Payload: pk.Payload, QoS: pk.FixedHeader.Qos, Retain: pk.FixedHeader.Retain}
}

// relayWill offers the relay a last will, for which nobody waits.
func (b *Broker) relayWill(pk packets.Packet) {
	if b.Relay != nil && !reserved(pk.TopicName) {
		b.Relay.Take(b.ctx, messageOf(pk), func() {})
	}
}

// Send publishes a message on an ordinary topic from the gateway itself. It
// waits for no subscriber, and no relay takes it.
func (b *Broker) Send(m Message) {
	b.inject(packets.Packet{
		FixedHeader: packets.FixedHeader{Type: packets.Publish, Qos: m.QoS, Retain: m.Retain},
		TopicName:   m.Topic,
		Payload:     m.Payload,
		PacketID:    1, // any: mochi wants one
	})
}
