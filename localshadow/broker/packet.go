package broker

import (
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"edgeshadow/localshadow/access"
)

// wire is what a packet that is being processed had on the wire.
//
// mochi has one space of packet ids for the two directions of a connection, and
// keeps what is under way in both itself. So it sees every request of a client
// with the id 0 and QoS 0, and what it answers gets the id of the request back.
// A connection's packets are processed and answered one by one, so one id is
// enough; what is answered later (publish.go) carries its own.
type wire struct {
	id    uint16
	qos   byte
	known bool         // a PUBREL for a message that we have
	codes []byte       // of a SUBACK or UNSUBACK
	kept  [][]*message // retained, for each filter of a SUBSCRIBE
}

// OnPacketRead sees every packet before mochi processes it. Rejecting one ends
// the connection, with its last will.
func (h *hook) OnPacketRead(cl *mqtt.Client, pk packets.Packet) (packets.Packet, error) {
	c := connOf(cl)
	c.unread -= 1 + varint(pk.FixedHeader.Remaining) + pk.FixedHeader.Remaining
	if pk.FixedHeader.Type == packets.Connect && c.session == nil {
		// mochi refuses an empty will; the standard has it.
		if c.emptyWill = pk.Connect.WillFlag && len(pk.Connect.WillPayload) == 0; c.emptyWill {
			pk.Connect.WillPayload = []byte{0}
		}
		if !pk.Connect.WillFlag && pk.Connect.WillQos > 0 { // [MQTT-3.1.2-11]
			return pk, packets.ErrRejectPacket
		}
		return pk, nil
	}
	if c.session == nil { // mochi wants a CONNECT first
		return pk, nil
	}
	if !c.rate.allow(time.Now(), float64(h.b.rate.Load())) {
		h.b.stats.flooding.Add(1)
		return pk, h.violation(cl, packets.ErrMessageRateTooHigh, "more packets than a client may send")
	}
	switch pk.FixedHeader.Type {
	case packets.Publish:
		return h.readPublish(cl, c, pk)
	case packets.Puback, packets.Pubrec, packets.Pubcomp:
		h.readAck(c, &pk)
	case packets.Subscribe:
		return h.readSubscribe(cl, c, pk)
	case packets.Unsubscribe:
		if pk.PacketID == 0 {
			return pk, h.violation(cl, packets.ErrProtocolViolationNoPacketID, "an UNSUBSCRIBE without an id") // [MQTT-2.3.1-1]
		}
		c.wire = wire{id: pk.PacketID}
		pk.FixedHeader.Qos, pk.PacketID = 0, 0
	case packets.Pubrel:
		c.wire = wire{id: pk.PacketID, known: h.released(c.session, pk.PacketID)}
		pk.PacketID = 0
	case packets.Disconnect:
		return h.readDisconnect(cl, c, pk)
	case packets.Connect:
		return pk, h.violation(cl, packets.ErrProtocolViolationSecondConnect, "a second CONNECT") // [MQTT-3.1.0-2]
	case packets.Connack, packets.Suback, packets.Unsuback, packets.Pingresp:
		return pk, h.violation(cl, packets.ErrProtocolViolation, "a packet that only servers send")
	case packets.Auth:
		return pk, h.violation(cl, packets.ErrProtocolViolation, "AUTH where no method was agreed on") // [MQTT-4.12.0-6]
	}
	return pk, nil
}

// readPublish checks a PUBLISH, in the order in which a client would want to
// hear of its faults, and takes its id and QoS.
func (h *hook) readPublish(cl *mqtt.Client, c *conn, pk packets.Packet) (packets.Packet, error) {
	if !c.resolve(&pk) { // [MQTT-3.3.2-8], [MQTT-3.3.2-9]
		return pk, h.violation(cl, packets.ErrTopicAliasInvalid, "an invalid topic alias")
	}
	topic := pk.TopicName
	switch {
	case pk.FixedHeader.Qos > 0 && pk.PacketID == 0: // [MQTT-2.3.1-1]
		return pk, h.violation(cl, packets.ErrProtocolViolationNoPacketID, "a PUBLISH without an id")
	case !validTopic(topic):
		return pk, h.violation(cl, packets.ErrTopicNameInvalid, "publish to the invalid topic "+clip(topic))
	case pk.Properties.ResponseTopic != "" && !validTopic(pk.Properties.ResponseTopic): // [MQTT-3.3.2-14]
		return pk, h.violation(cl, packets.ErrProtocolViolation, "the invalid response topic "+clip(pk.Properties.ResponseTopic))
	case !mayPublish(topic):
		return pk, h.violation(cl, packets.ErrNotAuthorized, "publish to the reserved topic "+clip(topic))
	case reserved(topic) && pk.FixedHeader.Retain:
		return pk, h.violation(cl, packets.ErrNotAuthorized, "RETAIN on the reserved topic "+clip(topic))
	case !mayPublishAs(c.principal, pk):
		return pk, h.expel(cl, packets.ErrNotAuthorized) // Access has logged it
	case pk.FixedHeader.Qos == 2 && c.session.exchanges.len() >= exchangeLimit(cl):
		return pk, h.violation(cl, packets.ErrReceiveMaximum, "more messages of QoS 2 under way than allowed")
	}
	c.wire = wire{id: pk.PacketID, qos: pk.FixedHeader.Qos}
	pk.FixedHeader.Qos, pk.FixedHeader.Dup, pk.PacketID = 0, false, 0
	return pk, nil
}

// mayPublishAs asks the policies, as AWS IoT does (SHADOW 21).
func mayPublishAs(who Principal, pk packets.Packet) bool {
	return may(who, access.ActionPublish, pk.TopicName) &&
		(!pk.FixedHeader.Retain || may(who, access.ActionRetainPublish, pk.TopicName))
}

func exchangeLimit(cl *mqtt.Client) int {
	if cl.Properties.ProtocolVersion == 5 {
		return receiveMaximum + 1 // a repetition of one of them is let through
	}
	return maxExchanges
}

// readSubscribe refuses what the standard calls a protocol error.
func (h *hook) readSubscribe(cl *mqtt.Client, c *conn, pk packets.Packet) (packets.Packet, error) {
	if pk.PacketID == 0 {
		return pk, h.violation(cl, packets.ErrProtocolViolationNoPacketID, "a SUBSCRIBE without an id") // [MQTT-2.3.1-1]
	}
	if ids := pk.Properties.SubscriptionIdentifier; len(ids) > 1 || len(ids) == 1 && ids[0] == 0 { // 3.8.2.1.2
		return pk, h.violation(cl, packets.ErrProtocolViolation, "an invalid subscription identifier")
	}
	for _, f := range pk.Filters {
		_, shared := unshare(f.Filter)
		if f.RetainHandling > 2 || f.NoLocal && shared { // 3.8.3.1, [MQTT-3.8.3-4]
			return pk, h.violation(cl, packets.ErrProtocolViolation, "invalid options of a subscription")
		}
	}
	c.wire = wire{id: pk.PacketID}
	pk.FixedHeader.Qos, pk.PacketID = 0, 0
	return pk, nil
}

// readAck takes an acknowledgement of a delivery to its session. mochi, which
// knows of none, does nothing with it, or says so where it is a PUBREC.
func (h *hook) readAck(c *conn, pk *packets.Packet) {
	refused := pk.ReasonCode >= packets.ErrUnspecifiedError.Code
	if c.session.acknowledged(pk.FixedHeader.Type, pk.PacketID, refused) {
		pk.FixedHeader.Type = packets.Puback
	}
	c.wire = wire{id: pk.PacketID}
	pk.PacketID = 0
}

// released notes a PUBREL. Where the store knows the id, it must have forgotten
// it before the client may use it for another message.
func (h *hook) released(s *session, id uint16) bool {
	if !s.exchanges.end(id) {
		return false
	}
	if s.lasting() {
		h.b.keeper.change(exchangeKey(s.id, id), nil)
		h.b.keeper.sync()
	}
	return true
}

// readDisconnect notes that a client goes of its own will, and for how long its
// session is to last (MQTT 5, 3.14.2.2.2).
func (h *hook) readDisconnect(cl *mqtt.Client, c *conn, pk packets.Packet) (packets.Packet, error) {
	if p := &pk.Properties; p.SessionExpiryIntervalFlag {
		if !c.session.expire(p.SessionExpiryInterval) {
			return pk, h.violation(cl, packets.ErrProtocolViolationZeroNonZeroExpiry, "a session that was to end is to last")
		}
		p.SessionExpiryIntervalFlag = false
	}
	if cl.Properties.ProtocolVersion == 5 && pk.FixedHeader.Remaining == 1 {
		pk.ReasonCode = c.last // mochi does not read it; nothing follows it [MQTT-3.14.4-1]
	}
	if pk.ReasonCode == 0 {
		c.goodbye.Store(true) // [MQTT-3.14.4-3]
		// What comes from here on waits for the next connection, whenever the
		// socket of this one is closed.
		c.held.take(h.b.turns.of(cl.ID))
		h.b.leave(cl)
		c.held.release()
	}
	return pk, nil
}

// OnPacketEncode sees every packet that mochi writes.
func (h *hook) OnPacketEncode(cl *mqtt.Client, pk packets.Packet) packets.Packet {
	c := connOf(cl)
	switch pk.FixedHeader.Type {
	case packets.Connack:
		h.encodeConnack(cl, c, &pk)
		c.held.release()
	case packets.Suback, packets.Unsuback:
		pk.PacketID, pk.ReasonCodes = c.wire.id, c.wire.codes
		pk.Properties = packets.Properties{}
	case packets.Pubcomp, packets.Pubrel:
		pk.PacketID = c.wire.id
		if c.wire.known { // mochi, which does not know the id, denies it
			pk.ReasonCode, pk.Properties.ReasonString = packets.CodeSuccess.Code, ""
		}
	}
	return pk
}

// encodeConnack tells what was decided about the session and what a client of
// MQTT 5 must know of the broker (3.2.2.3).
func (h *hook) encodeConnack(cl *mqtt.Client, c *conn, pk *packets.Packet) {
	switch {
	case cl.Properties.ProtocolVersion < 5 && pk.ReasonCode > packets.Err3NotAuthorized.Code:
		pk.ReasonCode = packets.Err3ClientIdentifierNotValid.Code // [MQTT-3.1.3-8]
	case pk.ReasonCode != 0:
		return
	}
	pk.SessionPresent = c.present && pk.ReasonCode == 0
	pk.Properties.MaximumPacketSize = maxPacket
	pk.Properties.TopicAliasMaximum = maxAliases
}

// violation ends a connection as AWS IoT does (SHADOW 16): clients of MQTT 5
// are told, older ones see it closed. The last will is sent.
func (h *hook) violation(cl *mqtt.Client, code packets.Code, what string) error {
	h.b.log.Info("client disconnected for a violation", "client", cl.ID, "remote", cl.Net.Remote, "err", what)
	return h.expel(cl, code)
}

// expel is violation without the line in the log.
func (h *hook) expel(cl *mqtt.Client, code packets.Code) error {
	h.b.stats.violations.Add(1)
	connOf(cl).violated(code)
	connOf(cl).told = true
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
