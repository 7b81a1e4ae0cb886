package broker

import (
	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"edgeshadow/localshadow/access"
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
	kept := make([][]*message, len(pk.Filters))
	stored := false
	for i, f := range pk.Filters {
		code, fresh := h.subscribe(cl, s, f)
		if code.Code < packets.ErrUnspecifiedError.Code {
			stored = stored || s.lasting()
			kept[i] = h.b.keptFor(f, fresh) // before SUBACK: what is retained later is none of its business
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
	c.wire.codes, c.wire.kept = codes, kept
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
		h.b.log.Info("subscription refused", "client", cl.ID, "remote", cl.Net.Remote, "err", "the reserved filter "+clip(f.Filter))
		return packets.ErrNotAuthorized, false
	case !may(connOf(cl).principal, access.ActionSubscribe, inner):
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
		if c.wire.codes[i] <= 2 {
			c.sendKept(f, c.wire.kept[i])
		}
	}
}

// keptFor are the retained messages that a subscription asks for.
func (b *Broker) keptFor(f packets.Subscription, fresh bool) []*message {
	_, shared := unshare(f.Filter)
	const once, never = 1, 2 // [MQTT-3.3.1-10], [MQTT-3.3.1-11]
	if shared || f.RetainHandling == never || f.RetainHandling == once && !fresh {
		return nil
	}
	found, expired := b.retained.matching(f.Filter)
	for _, m := range expired {
		b.keeper.unretain(m.topic)
	}
	return append(found, b.sys(f.Filter)...)
}

// sendKept sends retained messages, at the client's pace.
func (c *conn) sendKept(f packets.Subscription, kept []*message) {
	var ids []int
	if f.Identifier > 0 {
		ids = []int{f.Identifier} // [MQTT-3.3.4-3]
	}
	for _, m := range kept {
		qos := min(m.qos, f.Qos)
		if qos == 0 {
			c.pace()
		}
		c.session.deliver(m, qos, true, ids, nil)
	}
}
