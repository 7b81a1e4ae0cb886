package broker

import (
	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// wire is what a packet that is being processed had on the wire.
//
// mochi has one space of packet ids for the two directions of a connection. So
// a PUBLISH whose id equals that of a delivery the client has not acknowledged
// makes mochi forget the delivery, and a SUBSCRIBE with such an id is refused.
// Both count from 1, so it happens. Therefore mochi sees every request of a
// client with the id 0, which it never gives a delivery, and what it answers
// gets the id of the request back. A connection's packets are processed and
// answered one by one, so one id is enough; what is answered later (request.go)
// carries its own.
type wire struct {
	id    uint16
	qos   byte
	known bool   // a PUBREL for a message that we have
	mute  []mute // of a SUBSCRIBE
}

// OnPacketRead sees every packet before mochi processes it. Rejecting one ends
// the connection, with its last will.
func (h *hook) OnPacketRead(cl *mqtt.Client, pk packets.Packet) (packets.Packet, error) {
	c := connOf(cl)
	switch pk.FixedHeader.Type {
	case packets.Connect:
		// mochi refuses an empty will; the standard has it.
		if c.emptyWill = pk.Connect.WillFlag && len(pk.Connect.WillPayload) == 0; c.emptyWill {
			pk.Connect.WillPayload = []byte{0}
		}
		return pk, nil
	case packets.Publish:
		return h.readPublish(cl, c, pk)
	case packets.Subscribe, packets.Unsubscribe:
		if pk.PacketID == 0 {
			return pk, h.violation(cl, packets.ErrProtocolViolationNoPacketID, "a packet without an id") // [MQTT-2.3.1-1]
		}
		c.wire = wire{id: pk.PacketID}
		pk.FixedHeader.Qos, pk.PacketID = 0, 0
	case packets.Pubrel:
		c.wire = wire{id: pk.PacketID, known: c.exchanges.end(pk.PacketID)}
		pk.PacketID = 0
	case packets.Connack, packets.Suback, packets.Unsuback, packets.Pingresp:
		return pk, h.violation(cl, packets.ErrProtocolViolation, "a packet that only servers send")
	}
	return pk, nil
}

// readPublish checks a PUBLISH, in the order in which a client would want to
// hear of its faults, and takes its id and QoS.
func (h *hook) readPublish(cl *mqtt.Client, c *conn, pk packets.Packet) (packets.Packet, error) {
	topic := pk.TopicName
	switch {
	case pk.FixedHeader.Qos > 0 && pk.PacketID == 0: // [MQTT-2.3.1-1]
		return pk, h.violation(cl, packets.ErrProtocolViolationNoPacketID, "a PUBLISH without an id")
	case pk.Properties.TopicAliasFlag: // none were announced [MQTT-3.3.2-9]
		return pk, h.violation(cl, packets.ErrTopicAliasInvalid, "a topic alias")
	case !validTopic(topic):
		return pk, h.violation(cl, packets.ErrTopicNameInvalid, "publish to the invalid topic "+clip(topic))
	case !mayPublish(topic):
		return pk, h.violation(cl, packets.ErrNotAuthorized, "publish to the reserved topic "+clip(topic))
	case reserved(topic) && pk.FixedHeader.Retain:
		return pk, h.violation(cl, packets.ErrNotAuthorized, "RETAIN on the reserved topic "+clip(topic))
	case !mayPublishAs(c.principal, pk):
		return pk, h.violation(cl, packets.ErrNotAuthorized, "publish to "+clip(topic)+", which its policies do not allow")
	case pk.FixedHeader.Qos == 2 && c.exchanges.len() >= exchangeLimit(cl):
		return pk, h.violation(cl, packets.ErrReceiveMaximum, "more messages of QoS 2 under way than allowed")
	}
	c.wire = wire{id: pk.PacketID, qos: pk.FixedHeader.Qos}
	pk.FixedHeader.Qos, pk.FixedHeader.Dup, pk.PacketID = 0, false, 0
	return pk, nil
}

// mayPublishAs asks the policies, as AWS IoT does (SHADOW 21).
func mayPublishAs(who Principal, pk packets.Packet) bool {
	return may(who, ActionPublish, pk.TopicName) &&
		(!pk.FixedHeader.Retain || may(who, ActionRetainPublish, pk.TopicName))
}

func exchangeLimit(cl *mqtt.Client) int {
	if cl.Properties.ProtocolVersion == 5 {
		return receiveMaximum + 1 // a repetition of one of them is let through
	}
	return maxExchanges
}

// OnPacketEncode sees every packet before it is written.
func (h *hook) OnPacketEncode(cl *mqtt.Client, pk packets.Packet) packets.Packet {
	c := connOf(cl)
	if c == nil {
		return pk
	}
	switch pk.FixedHeader.Type {
	case packets.Publish:
		// Only the client's own goroutines write a PUBLISH: they may wait.
		if !pk.FixedHeader.Dup {
			c.awaitResumed()
		}
		c.pace()
	case packets.Connack:
		c.held.release()
	case packets.Suback:
		pk.PacketID = c.wire.id
		for _, m := range c.wire.mute {
			pk.ReasonCodes[m.filter] = m.qos
		}
	case packets.Puback, packets.Pubrec, packets.Unsuback:
		if pk.PacketID == 0 {
			pk.PacketID = c.wire.id
		}
	case packets.Pubcomp:
		pk.PacketID = c.wire.id
		if c.wire.known { // mochi, which does not know the id, denies it
			pk.ReasonCode, pk.Properties.ReasonString = packets.CodeSuccess.Code, ""
		}
	}
	return pk
}

// OnPublished takes mochi's note of a QoS 2 message away; exchanges have it.
func (h *hook) OnPublished(cl *mqtt.Client, pk packets.Packet) {
	if cl.Net.Inline {
		return
	}
	connOf(cl).held.release()
	if pk.FixedHeader.Qos == 2 {
		h.b.forget(cl)
	}
}

// violation ends a connection as AWS IoT does (SHADOW 16): clients of MQTT 5
// are told, older ones see it closed. The last will is sent.
func (h *hook) violation(cl *mqtt.Client, code packets.Code, what string) error {
	h.b.stats.violations.Add(1)
	h.b.log.Info("client disconnected for a violation", "client", cl.ID, "remote", cl.Net.Remote, "err", what)
	if cl.Properties.ProtocolVersion == 5 {
		_ = cl.WritePacket(packets.Packet{ // it is closed next, come what may
			FixedHeader: packets.FixedHeader{Type: packets.Disconnect},
			ReasonCode:  code.Code,
		})
	}
	return packets.ErrRejectPacket
}

// clip shortens a stranger's text for a log line.
func clip(s string) string {
	const most = 160
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}
