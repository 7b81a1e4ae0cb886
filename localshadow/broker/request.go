package broker

import (
	"context"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"edgeshadow/localshadow/shadow"
)

// Shadows is the shadow service as the broker needs it.
type Shadows interface {
	// Handle serves one request; op is get, update or delete, and the payload
	// is the callee's. It calls acked once, when what the request changed is on
	// disk, and publishes the answers after that. It may block while its queue
	// is full, until ctx ends.
	Handle(ctx context.Context, id shadow.ID, op string, payload []byte, acked func())
}

// OnPublish gives a message its QoS back and hands shadow requests to the
// service, and what is relayed to the relay. mochi is told to ignore those, so
// that their PUBACK can wait for the disk while the client goes on.
func (h *hook) OnPublish(cl *mqtt.Client, pk packets.Packet) (packets.Packet, error) {
	if cl.Net.Inline {
		if who := pk.Connect.ClientIdentifier; who != "" { // see mirror
			pk.Origin = who
		}
		return pk, nil
	}
	c := connOf(cl)
	w := c.wire
	if w.qos == 2 {
		if known, received := c.exchanges.begin(w.id, cl); known {
			if received {
				acknowledge(cl, packets.Pubrec, w.id)
			}
			return pk, packets.CodeSuccessIgnore
		}
	}
	pk.FixedHeader.Qos = w.qos
	if !reserved(pk.TopicName) {
		if h.relayed(cl, pk, w) {
			return pk, packets.CodeSuccessIgnore
		}
		if w.qos == 2 {
			c.exchanges.receive(w.id) // mochi sends the PUBREC next
		}
		c.held.deliver(&h.b.fan)
		return pk, nil
	}

	h.mirror(cl, pk)
	id, op, _ := request(pk.TopicName) // nothing else passed readPublish
	// The payload is part of a buffer that mochi made for this packet alone.
	h.b.shadows.Handle(h.b.ctx, id, op, pk.Payload, later(cl, w))
	return pk, packets.CodeSuccessIgnore
}

// later acknowledges a PUBLISH when it is called.
func later(cl *mqtt.Client, w wire) func() {
	exchanges := connOf(cl).exchanges
	return func() {
		switch w.qos {
		case 1:
			acknowledge(cl, packets.Puback, w.id)
		case 2:
			// AWS IoT has no QoS 2 (SHADOW 18). Here the standard holds: a
			// client that was told QoS 2 may use it everywhere.
			if cl := exchanges.receive(w.id); cl != nil {
				acknowledge(cl, packets.Pubrec, w.id)
			}
		}
	}
}

// acknowledge answers a PUBLISH. A client that is gone repeats it.
func acknowledge(cl *mqtt.Client, kind byte, id uint16) {
	_ = cl.WritePacket(packets.Packet{FixedHeader: packets.FixedHeader{Type: kind}, PacketID: id})
}

// mirror sends a request to those who subscribed to requests (SHADOW 16),
// before the service may answer it.
func (h *hook) mirror(cl *mqtt.Client, pk packets.Packet) {
	pk.Connect.ClientIdentifier = cl.ID // no local [MQTT-3.8.3-3]
	pk.PacketID = uint16(pk.FixedHeader.Qos)
	h.b.inject(pk)
}
