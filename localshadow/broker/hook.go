package broker

import (
	"errors"
	"os"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"edgeshadow/localshadow/access"
)

// hook is where mochi asks the gateway; what is longer than a few lines stands
// in the file of its step: connect.go, packet.go, publish.go, subscribe.go.
type hook struct {
	mqtt.HookBase
	b *Broker
}

func (h *hook) ID() string { return "edgeshadow" }

func (h *hook) Provides(b byte) bool {
	switch b {
	case mqtt.OnConnect, mqtt.OnConnectAuthenticate, mqtt.OnSessionEstablish, mqtt.OnSessionEstablished,
		mqtt.OnWill, mqtt.OnPacketRead, mqtt.OnPacketEncode, mqtt.OnPacketProcessed,
		mqtt.OnACLCheck, mqtt.OnSubscribe, mqtt.OnUnsubscribe, mqtt.OnPublish:
		return true
	}
	return false
}

// connOf is the connection of a client.
func connOf(cl *mqtt.Client) *conn {
	c, _ := cl.Net.Conn.(*conn)
	return c
}

// OnACLCheck has nothing left to decide: readPublish asked for a PUBLISH,
// OnSubscribe for a SUBSCRIBE, and deliveries are not mochi's.
func (h *hook) OnACLCheck(*mqtt.Client, string, bool) bool { return true }

// OnSessionEstablish hides the session from mochi, which would end it by the
// wall clock, with its subscriptions, and send its will. It gets another will,
// which tells us, through OnWill, that a connection is about to be closed.
func (h *hook) OnSessionEstablish(cl *mqtt.Client, _ packets.Packet) {
	cl.Properties.Will = mqtt.Will{Flag: 1}
	cl.Properties.Clean = false
	cl.Properties.Props.SessionExpiryInterval = 1<<32 - 1
}

// OnWill tells a client of MQTT 5 why its connection is closed, where it was not
// told yet: its keep-alive is over [MQTT-3.1.2-22], or it sent what can't be
// read [MQTT-4.13.1-1].
func (h *hook) OnWill(cl *mqtt.Client, will mqtt.Will) (mqtt.Will, error) {
	c := connOf(cl)
	code := packets.ErrMalformedPacket
	switch {
	case c.told:
		return will, nil
	case errors.Is(c.broken, os.ErrDeadlineExceeded):
		code = packets.ErrKeepAliveTimeout
	case c.broken != nil:
		return will, nil
	default:
		h.b.stats.malformed.Add(1)
		h.b.log.Info("client disconnected for what can't be read", "client", cl.ID, "remote", cl.Net.Remote)
	}
	c.told = true
	if cl.Properties.ProtocolVersion == 5 {
		_ = cl.WritePacket(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Disconnect}, ReasonCode: code.Code})
	}
	return will, nil
}

// OnSessionEstablished lets messages follow the CONNACK.
func (h *hook) OnSessionEstablished(cl *mqtt.Client, _ packets.Packet) {
	c := connOf(cl)
	c.session.start(c.link)
	h.b.arrive(cl, c)
}

func mayReceive(who Principal, topic string) bool {
	return who == nil || may(who, access.ActionReceive, topic)
}
