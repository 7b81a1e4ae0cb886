package broker

import (
	"strings"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// hook is where mochi asks the gateway; what is longer than a few lines stands
// in the file of its step: connect.go, packet.go, request.go, session.go.
type hook struct {
	mqtt.HookBase
	b *Broker
}

func (h *hook) ID() string { return "edgeshadow" }

func (h *hook) Provides(b byte) bool {
	switch b {
	case mqtt.OnConnect, mqtt.OnConnectAuthenticate, mqtt.OnSessionEstablish, mqtt.OnSessionEstablished,
		mqtt.OnDisconnect, mqtt.OnClientExpired, mqtt.OnQosPublish, mqtt.OnWill, mqtt.OnWillSent,
		mqtt.OnPacketRead, mqtt.OnPacketEncode,
		mqtt.OnACLCheck, mqtt.OnSubscribe, mqtt.OnSelectSubscribers,
		mqtt.OnPublish, mqtt.OnPublished, mqtt.OnPublishDropped:
		return true
	}
	return false
}

// connOf is the connection of a client; nil for mochi's inline one.
func connOf(cl *mqtt.Client) *conn {
	c, _ := cl.Net.Conn.(*conn)
	return c
}

// refused is a filter that OnACLCheck refuses.
const refused = "$refused"

// mute is a filter of a SUBSCRIBE that is granted and never matches. mochi asks
// the same question for a filter and for each delivery. So a filter without
// wildcards that may be subscribed to, while nothing may be received on it, must
// not come to mochi.
type mute struct {
	filter int
	qos    byte
}

// OnSubscribe makes mochi refuse filters that it takes for well-formed, and
// those that the client's policies do not allow.
func (h *hook) OnSubscribe(cl *mqtt.Client, pk packets.Packet) packets.Packet {
	c := connOf(cl)
	for i := range pk.Filters {
		f := &pk.Filters[i]
		inner, shared := unshare(f.Filter)
		switch {
		case !validFilter(f.Filter):
			f.Filter = "" // mochi knows that this one is not
		case !maySubscribe(f.Filter):
		case !may(c.principal, ActionSubscribe, inner):
			f.Filter = refused
		case !shared && !strings.ContainsAny(inner, "+#") && !c.principal.May(ActionReceive, inner):
			c.wire.mute = append(c.wire.mute, mute{i, f.Qos})
			f.Filter = refused
		}
	}
	return pk
}

// OnACLCheck is asked for each PUBLISH (write), which readPublish has checked
// already, for each filter of a SUBSCRIBE and for each delivery.
func (h *hook) OnACLCheck(cl *mqtt.Client, topic string, write bool) bool {
	if write {
		return true
	}
	if _, shared := unshare(topic); shared || strings.ContainsAny(topic, "+#") { // a filter, which OnSubscribe has checked
		return maySubscribe(topic)
	}
	if reserved(topic) {
		if _, _, ok := request(topic); !ok && !maySubscribe(topic) {
			return false
		}
	}
	c := connOf(cl)
	return c == nil || mayReceive(c.principal, topic)
}

func mayReceive(who Principal, topic string) bool {
	return who == nil || may(who, ActionReceive, topic)
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
func (h *hook) OnPublishDropped(*mqtt.Client, packets.Packet) { h.b.stats.dropped.Add(1) }
