package broker

import (
	"bytes"
	"context"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"edgeshadow/localshadow/shadow"
)

// Shadows is the shadow service as the broker needs it.
type Shadows interface {
	// Handle serves one request. It calls acked once, when what the request
	// changed is on disk, and publishes the answers after it. It may block
	// while its queue is full.
	Handle(ctx context.Context, id shadow.ID, op string, payload []byte, acked func())
}

// OnPublish hands shadow requests to the service. mochi is told to forget the
// packet, so that the PUBACK can wait for the disk while the client goes on.
func (h *hook) OnPublish(cl *mqtt.Client, pk packets.Packet) (packets.Packet, error) {
	if cl.Net.Inline || !reserved(pk.TopicName) {
		return pk, nil
	}
	id, op, ok := request(pk.TopicName)
	switch {
	case !ok:
		return pk, packets.ErrRejectPacket
	case pk.FixedHeader.Retain:
		h.violation(cl, "RETAIN on the reserved topic "+pk.TopicName)
		return pk, packets.ErrRejectPacket
	case pk.FixedHeader.Qos > 1: // the service has no QoS 2 (SHADOW 18)
		h.violation(cl, "QoS 2 on the reserved topic "+pk.TopicName)
		return pk, packets.ErrRejectPacket
	}
	topic, payload, qos, packetID := pk.TopicName, bytes.Clone(pk.Payload), pk.FixedHeader.Qos, pk.PacketID
	h.b.shadows.Handle(h.b.ctx, id, op, payload, func() {
		if qos == 1 {
			_ = cl.WritePacket(packets.Packet{ // a client that is gone repeats its request
				FixedHeader: packets.FixedHeader{Type: packets.Puback},
				PacketID:    packetID,
			})
		}
		// Who subscribed to the request topic sees requests too (SHADOW 16).
		h.b.Publish(topic, payload)
	})
	return pk, packets.ErrRejectPacket
}
