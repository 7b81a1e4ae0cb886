package broker

import (
	"strings"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// Bounds of a client (SHADOW 18, 27).
const (
	maxClientID  = 128
	maxKeepalive = 1200 // seconds; also what 0 becomes, so that a dead peer is noticed
)

// hook is where mochi asks the gateway.
type hook struct {
	mqtt.HookBase
	b *Broker
}

func (h *hook) ID() string { return "edgeshadow" }

func (h *hook) Provides(b byte) bool {
	switch b {
	case mqtt.OnConnect, mqtt.OnConnectAuthenticate, mqtt.OnACLCheck, mqtt.OnPublish, mqtt.OnWill,
		mqtt.OnSelectSubscribers, mqtt.OnSessionEstablish, mqtt.OnDisconnect, mqtt.OnClientExpired,
		mqtt.OnPublishDropped:
		return true
	}
	return false
}

// OnConnect bounds the keep-alive and lifts mochi's send quota: a client with a
// small Receive Maximum would stall for good in it.
func (h *hook) OnConnect(cl *mqtt.Client, _ packets.Packet) error {
	if c, ok := cl.Net.Conn.(*conn); ok {
		c.admit()
	}
	if cl.State.Keepalive == 0 || cl.State.Keepalive > maxKeepalive {
		cl.State.Keepalive = maxKeepalive
		cl.State.ServerKeepalive = cl.Properties.ProtocolVersion == 5
	}
	cl.State.Inflight.ResetSendQuota(0)
	return nil
}

// OnConnectAuthenticate decides who a client is, and whether the session that
// it asks for is its own.
func (h *hook) OnConnectAuthenticate(cl *mqtt.Client, pk packets.Packet) bool {
	refuse := func(why string) bool {
		h.b.stats.refused.Add(1)
		h.b.log.Info("client refused", "client", cl.ID, "remote", cl.Net.Remote, "err", why)
		return false
	}
	if fault := checkClientID(cl.ID); fault != "" {
		return refuse(fault)
	}
	if pk.Connect.WillFlag && reserved(pk.Connect.WillTopic) && !mayPublish(pk.Connect.WillTopic) {
		return refuse("its last will names the reserved topic " + pk.Connect.WillTopic)
	}
	who, fault := h.b.identify(cl)
	if fault != "" {
		return refuse(fault)
	}
	if !h.b.sessions.claim(cl.ID, who) {
		return refuse("the session of this client id belongs to another principal")
	}
	return true
}

// checkClientID refuses ids that mean something to the broker or to AWS.
func checkClientID(id string) string {
	switch {
	case id == mqtt.InlineClientId:
		return "the client id inline is the gateway's own"
	case strings.HasPrefix(id, "$"):
		return "the client id begins with $"
	case len(id) > maxClientID:
		return "the client id is longer than 128 bytes"
	}
	return ""
}

// OnACLCheck is asked for each PUBLISH (write), for each filter of a SUBSCRIBE
// and for each delivery.
func (h *hook) OnACLCheck(cl *mqtt.Client, topic string, write bool) bool {
	if !write {
		return maySubscribe(topic)
	}
	if mayPublish(topic) {
		return true
	}
	h.violation(cl, "publish to the reserved topic "+topic)
	return false
}

// violation ends a connection as the service does (SHADOW 16): MQTT 5 clients
// are told, older ones see it closed. The last will is still sent.
func (h *hook) violation(cl *mqtt.Client, what string) {
	h.b.stats.violations.Add(1)
	h.b.log.Info("client disconnected for a violation", "client", cl.ID, "remote", cl.Net.Remote, "err", what)
	if cl.Properties.ProtocolVersion == 5 {
		_ = cl.WritePacket(packets.Packet{
			FixedHeader: packets.FixedHeader{Type: packets.Disconnect},
			ReasonCode:  packets.ErrNotAuthorized.Code,
		})
	}
	_ = cl.Net.Conn.Close()
}

// OnWill keeps wills to shadow topics from being retained. A will is never a
// shadow update: it does not pass OnPublish (SHADOW 16).
func (h *hook) OnWill(_ *mqtt.Client, will mqtt.Will) (mqtt.Will, error) {
	if reserved(will.TopicName) {
		will.Retain = false
	}
	return will, nil
}

// OnSelectSubscribers takes shared subscriptions out that begin with a wildcard
// where the topic is reserved: mochi matches them [MQTT-4.7.2-1].
func (h *hook) OnSelectSubscribers(subs *mqtt.Subscribers, pk packets.Packet) *mqtt.Subscribers {
	if !reserved(pk.TopicName) {
		return subs
	}
	for filter := range subs.Shared {
		if !seesReserved(filter) {
			delete(subs.Shared, filter)
		}
	}
	return subs
}

// OnPublishDropped counts what a client that does not read has lost.
func (h *hook) OnPublishDropped(*mqtt.Client, packets.Packet) {
	h.b.stats.dropped.Add(1)
}
