package broker

import (
	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// Bounds of subscriptions.
const (
	maxSubscriptions    = 500    // of one client
	maxAllSubscriptions = 50_000 // of all
)

// OnSubscribe answers a SUBSCRIBE. mochi is left with filters that it refuses,
// and its codes are replaced when the SUBACK is written.
func (h *hook) OnSubscribe(cl *mqtt.Client, pk packets.Packet) packets.Packet {
	c := connOf(cl)
	s := c.session
	codes := make([]byte, len(pk.Filters))
	fresh := make([]bool, len(pk.Filters))
	stored := false
	for i, f := range pk.Filters {
		var code packets.Code
		if code, fresh[i] = h.subscribe(cl, s, f); code.Code < packets.ErrUnspecifiedError.Code {
			stored = stored || s.lasting()
		}
		codes[i] = code.Code
	}
	if stored && !h.b.keeper.sync() {
		for i := range codes {
			codes[i] = packets.ErrUnspecifiedError.Code
		}
	}
	if cl.Properties.ProtocolVersion < 5 {
		for i := range codes {
			if codes[i] > 2 {
				codes[i] = packets.ErrUnspecifiedError.Code // [MQTT-3.9.3-2]
			}
		}
	}
	c.wire.codes, c.wire.fresh = codes, fresh
	pk.Filters = make(packets.Subscriptions, len(pk.Filters))
	return pk
}

// subscribe adds one filter. It tells whether the session did not have it.
func (h *hook) subscribe(cl *mqtt.Client, s *session, f packets.Subscription) (code packets.Code, fresh bool) {
	inner, shared := unshare(f.Filter)
	switch {
	case !validFilter(f.Filter):
		return packets.ErrTopicFilterInvalid, false
	case !maySubscribe(f.Filter):
		return packets.ErrNotAuthorized, false
	case !may(connOf(cl).principal, ActionSubscribe, inner):
		return packets.ErrNotAuthorized, false
	}
	sub := &subscription{
		s: s, filter: f.Filter, qos: f.Qos, id: f.Identifier, shared: shared,
		noLocal: f.NoLocal, published: f.RetainAsPublished && cl.Properties.ProtocolVersion == 5,
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	_, had := s.subs[f.Filter]
	if s.ended || !had && (len(s.subs) >= maxSubscriptions || h.b.filters.count.Load() >= maxAllSubscriptions) {
		return packets.ErrQuotaExceeded, false
	}
	s.subs[f.Filter] = sub
	h.b.filters.set(sub)
	if s.stored {
		h.b.keeper.change(filterKey(s.id, f.Filter), appendSubscription(nil, sub))
	}
	return packets.Code{Code: f.Qos}, !had
}

// OnUnsubscribe answers an UNSUBSCRIBE.
func (h *hook) OnUnsubscribe(cl *mqtt.Client, pk packets.Packet) packets.Packet {
	c := connOf(cl)
	s := c.session
	codes := make([]byte, len(pk.Filters))
	stored := false
	for i, f := range pk.Filters {
		s.mu.Lock()
		sub, had := s.subs[f.Filter]
		switch {
		case !validFilter(f.Filter):
			codes[i] = packets.ErrTopicFilterInvalid.Code
		case !had:
			codes[i] = packets.CodeNoSubscriptionExisted.Code
		default:
			delete(s.subs, f.Filter)
			h.b.filters.remove(sub)
			if s.stored {
				h.b.keeper.change(filterKey(s.id, f.Filter), nil)
				stored = true
			}
		}
		s.mu.Unlock()
	}
	if stored {
		h.b.keeper.sync()
	}
	c.wire.codes = codes
	pk.Filters = make(packets.Subscriptions, len(pk.Filters))
	return pk
}

// OnPacketProcessed sends the retained messages of a SUBSCRIBE, after its SUBACK.
func (h *hook) OnPacketProcessed(cl *mqtt.Client, pk packets.Packet, err error) {
	c := connOf(cl)
	switch {
	case err != nil:
		return
	case pk.FixedHeader.Type == packets.Unsubscribe:
		h.b.subscribed("unsubscribed", cl, c, pk.Filters)
		return
	case pk.FixedHeader.Type != packets.Subscribe:
		return
	}
	h.b.subscribed("subscribed", cl, c, pk.Filters)
	for i, f := range pk.Filters {
		_, shared := unshare(f.Filter)
		const once, never = 1, 2 // [MQTT-3.3.1-10], [MQTT-3.3.1-11]
		if c.wire.codes[i] > 2 || shared || f.RetainHandling == never || f.RetainHandling == once && !c.wire.fresh[i] {
			continue
		}
		h.b.sendRetained(c, f)
	}
}

// sendRetained sends what a filter matches, at the client's pace.
func (b *Broker) sendRetained(c *conn, f packets.Subscription) {
	var ids []int
	if f.Identifier > 0 {
		ids = []int{f.Identifier} // [MQTT-3.3.4-3]
	}
	found := b.sys(f.Filter)
	kept, expired := b.retained.matching(f.Filter)
	for _, m := range append(found, kept...) {
		qos := min(m.qos, f.Qos)
		if qos == 0 {
			c.pace()
		}
		c.session.deliver(m, qos, true, ids, nil)
	}
	for _, m := range expired {
		b.keeper.unretain(m.topic)
	}
}
