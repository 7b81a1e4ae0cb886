package broker

import (
	"context"
	"sync"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"edgeshadow/localshadow/shadow"
)

// Shadows is the shadow service as the broker needs it.
type Shadows interface {
	// Handle serves one request; op is get, update or delete, and the payload
	// is the callee's. It calls acked once, when what the request changed is on
	// disk, and publishes the answers after that. It may block while its queue
	// is full, until ctx ends; and until all is told, when the caller is idle.
	Handle(ctx context.Context, id shadow.ID, op string, payload []byte, idle bool, acked func())
}

// OnPublish takes a PUBLISH: shadow requests go to the service, others to their
// subscribers. mochi is told to ignore it, so that its acknowledgement can wait
// for the disk while the client goes on.
func (h *hook) OnPublish(cl *mqtt.Client, pk packets.Packet) (packets.Packet, error) {
	c := connOf(cl)
	s, w := c.session, c.wire
	if w.qos == 2 {
		if known, received := s.exchanges.begin(w.id, c); known {
			if received {
				c.acknowledge(packets.Pubrec, w.id)
			}
			return pk, packets.CodeSuccessIgnore
		}
	}
	m := newMessage(cl.ID, pk.TopicName, pk.Payload, w.qos, pk.FixedHeader.Retain, &pk.Properties)
	if reserved(pk.TopicName) {
		h.b.fan(m, nil) // those who subscribed to requests see them (SHADOW 16), before they are answered
		id, op, _ := request(pk.TopicName)
		// The payload is part of a buffer that mochi made for this packet alone.
		c.serve(func(idle bool) {
			h.b.shadows.Handle(h.b.ctx, id, op, pk.Payload, idle, func() {
				c.cork()
				h.b.answer(c, s, w, true)
			})
		})
		return pk, packets.CodeSuccessIgnore
	}
	switch w.qos {
	case 0:
		h.b.publish(m, nil)
	case 2:
		h.b.keeper.batch.RLock() // the id and the message are written together
		r := newReceipt(func(ok bool) { h.b.answer(c, s, w, ok) })
		h.b.publish(m, r)
		if s.lasting() {
			h.b.keeper.exchange(s, w.id, r)
		}
		h.b.keeper.batch.RUnlock()
		r.release(true)
	default:
		r := newReceipt(func(ok bool) { h.b.answer(c, s, w, ok) })
		h.b.publish(m, r)
		r.release(true)
	}
	return pk, packets.CodeSuccessIgnore
}

// answer acknowledges a PUBLISH. What could not be stored is not acknowledged:
// the client repeats it.
func (b *Broker) answer(c *conn, s *session, w wire, ok bool) {
	switch {
	case w.qos == 1 && ok:
		c.acknowledge(packets.Puback, w.id)
	case w.qos == 2 && !ok:
		s.exchanges.end(w.id)
	case w.qos == 2:
		// AWS IoT has no QoS 2 (SHADOW 18). Here the standard holds: a client
		// that was told QoS 2 may use it everywhere.
		if c := s.exchanges.receive(w.id); c != nil {
			c.acknowledge(packets.Pubrec, w.id)
		}
	}
}

// publish brings a message to its subscribers, to those to come, and to the
// relay. The receipt is held by each that may still lose it.
func (b *Broker) publish(m *message, r *receipt) {
	if b.Relay != nil && !reserved(m.topic) {
		held := r.hold()
		if !b.Relay.Take(b.ctx, Message{Topic: m.topic, Payload: m.payload, QoS: m.qos, Retain: m.retain}, func() { held.release(true) }) {
			held.release(true)
		}
	}
	b.send(m, r)
}

// send is publish without the relay.
func (b *Broker) send(m *message, r *receipt) {
	if m.retain {
		m.stamp = time.Now().UnixMilli()
		if b.retained.set(m) {
			b.keeper.retain(m, r)
		} else {
			b.stats.dropped.Add(1)
			b.log.Warn("retained message not kept: there are too many", "topic", clip(m.topic), "client", m.origin)
		}
	}
	b.fan(m, r)
}

// target is one session that a message goes to.
type target struct {
	s      *session
	qos    byte
	retain bool
	ids    []int
}

// fans are slices for fan.
var fans = sync.Pool{New: func() any { return new(fanning) }}

type fanning struct {
	subs    []*subscription
	targets []target
}

// fan hands a message to the sessions whose subscriptions match. One with
// several gets it once, at the highest QoS [MQTT-3.3.5-1], with all their ids
// [MQTT-3.3.4-4]; a shared subscription is another matter.
func (b *Broker) fan(m *message, r *receipt) {
	f := fans.Get().(*fanning)
	f.subs = b.filters.match(m.topic, f.subs[:0])
	f.targets = f.targets[:0]
	var place map[*session]int
	if len(f.subs) > 8 {
		place = make(map[*session]int, len(f.subs))
	}
	for _, sub := range f.subs {
		if sub.noLocal && m.origin == sub.s.id { // [MQTT-3.8.3-3]
			continue
		}
		i := -1
		if !sub.shared {
			i = f.find(sub.s, place)
		}
		if i < 0 {
			i = len(f.targets)
			f.targets = append(f.targets, target{s: sub.s})
			if place != nil && !sub.shared {
				place[sub.s] = i
			}
		}
		t := &f.targets[i]
		t.qos = max(t.qos, min(sub.qos, m.qos))
		t.retain = t.retain || m.retain && sub.published // [MQTT-3.3.1-12]
		if sub.id > 0 {
			t.ids = append(t.ids, sub.id)
		}
	}
	for _, t := range f.targets {
		t.s.deliver(m, t.qos, t.retain, t.ids, r)
	}
	clear(f.subs)
	clear(f.targets)
	fans.Put(f)
}

// Wanted tells whether a subscription matches a topic.
func (b *Broker) Wanted(topic string) bool {
	f := fans.Get().(*fanning)
	f.subs = b.filters.match(topic, f.subs[:0])
	wanted := len(f.subs) > 0
	clear(f.subs)
	fans.Put(f)
	return wanted
}

// find is where the target of a session is, if there is one.
func (f *fanning) find(s *session, place map[*session]int) int {
	if place != nil {
		if i, ok := place[s]; ok {
			return i
		}
		return -1
	}
	for i := range f.targets {
		if f.targets[i].s == s {
			return i
		}
	}
	return -1
}

// Publish sends a message of the gateway itself to its subscribers, at their
// QoS but 1 at most, never retained. It waits for none of them.
func (b *Broker) Publish(topic string, payload []byte) {
	b.fan(&message{topic: topic, payload: payload, qos: 1}, nil)
}
