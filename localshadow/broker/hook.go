package broker

import (
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

// OnSubscribe makes mochi refuse filters that it takes for well-formed.
func (h *hook) OnSubscribe(_ *mqtt.Client, pk packets.Packet) packets.Packet {
	for i := range pk.Filters {
		if !validFilter(pk.Filters[i].Filter) {
			pk.Filters[i].Filter = "" // mochi knows that this one is not
		}
	}
	return pk
}

// OnACLCheck is asked for each PUBLISH (write), which readPublish has checked
// already, for each filter of a SUBSCRIBE and for each delivery.
func (h *hook) OnACLCheck(_ *mqtt.Client, topic string, write bool) bool {
	if write || !reserved(topic) {
		return true
	}
	if _, _, ok := request(topic); ok {
		return true
	}
	return maySubscribe(topic)
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
