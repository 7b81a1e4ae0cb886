package broker

import (
	"encoding/binary"
	"sync/atomic"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"
)

// message is a PUBLISH on its way to subscribers. It is shared by all of them
// and does not change.
type message struct {
	topic      string
	payload    []byte
	properties []byte // of MQTT 5, as on the wire, that subscribers get as they are
	qos        byte
	retain     bool      // was asked for
	origin     string    // the client id of the sender, for no local [MQTT-3.8.3-3]
	expires    time.Time // by the monotonic clock; zero: never
	stamp      int64     // Unix milliseconds, of one that is retained; informs only

	places atomic.Int32 // where it waits, see budget

	// Of the keeper, under its lock.
	seq  uint64 // in the store; 0: it never was there
	kept int    // deliveries of it in the store
}

// newMessage is what a client, or its will, publishes.
func newMessage(origin, topic string, payload []byte, qos byte, retain bool, p *packets.Properties) *message {
	m := &message{topic: topic, payload: payload, qos: qos, retain: retain, origin: origin}
	if p != nil {
		m.properties = appendProperties(nil, p)
		if p.MessageExpiryInterval > 0 {
			m.expires = time.Now().Add(time.Duration(p.MessageExpiryInterval) * time.Second)
		}
	}
	return m
}

// size is what a message costs in memory, roughly.
func (m *message) size() int {
	const overhead = 192
	return overhead + len(m.topic) + len(m.payload) + len(m.properties)
}

func (m *message) expired(now time.Time) bool { return !m.expires.IsZero() && !now.Before(m.expires) }

// appendProperties writes the properties of a PUBLISH that reach subscribers
// unaltered: [MQTT-3.3.2-4], [MQTT-3.3.2-15] to [MQTT-3.3.2-18], [MQTT-3.3.2-20].
func appendProperties(dst []byte, p *packets.Properties) []byte {
	if p.PayloadFormatFlag {
		dst = append(dst, packets.PropPayloadFormat, p.PayloadFormat)
	}
	if p.ContentType != "" {
		dst = appendText(append(dst, packets.PropContentType), p.ContentType)
	}
	if p.ResponseTopic != "" {
		dst = appendText(append(dst, packets.PropResponseTopic), p.ResponseTopic)
	}
	if len(p.CorrelationData) > 0 {
		dst = appendText(append(dst, packets.PropCorrelationData), p.CorrelationData)
	}
	for _, u := range p.User { // in their order [MQTT-3.3.2-18]
		dst = appendText(appendText(append(dst, packets.PropUser), u.Key), u.Val)
	}
	return dst
}

func appendText[T ~string | ~[]byte](dst []byte, s T) []byte {
	return append(binary.BigEndian.AppendUint16(dst, uint16(len(s))), s...)
}

// publication is one PUBLISH to one client.
type publication struct {
	m       *message
	qos     byte
	retain  bool
	again   bool // DUP
	id      uint16
	ids     []int  // of the subscriptions
	alias   uint16 // of the topic; 0: none
	known   bool   // to the client: the topic itself is left out
	version byte
	now     time.Time
}

func (p *publication) topic() string {
	if p.known {
		return ""
	}
	return p.m.topic
}

// own is the length of the properties that differ between subscribers.
func (p *publication) own() int {
	n := 0
	if p.alias > 0 {
		n += 3
	}
	if !p.m.expires.IsZero() {
		n += 5
	}
	for _, id := range p.ids {
		n += 1 + varint(id)
	}
	return n
}

// length is that of the whole packet, and remaining that of what follows the
// fixed header.
func (p *publication) length() (whole, remaining int) {
	remaining = 2 + len(p.topic()) + len(p.m.payload)
	if p.qos > 0 {
		remaining += 2
	}
	if p.version == 5 {
		n := p.own() + len(p.m.properties)
		remaining += varint(n) + n
	}
	return 1 + varint(remaining) + remaining, remaining
}

// appendTo writes the packet.
func (p *publication) appendTo(dst []byte) []byte {
	header := packets.Publish<<4 | p.qos<<1
	if p.retain {
		header |= 1
	}
	if p.again {
		header |= 1 << 3
	}
	_, remaining := p.length()
	dst = binary.AppendUvarint(append(dst, header), uint64(remaining)) // a remaining length is a varint
	dst = appendText(dst, p.topic())
	if p.qos > 0 {
		dst = binary.BigEndian.AppendUint16(dst, p.id)
	}
	if p.version == 5 {
		dst = binary.AppendUvarint(dst, uint64(p.own()+len(p.m.properties)))
		if p.alias > 0 {
			dst = binary.BigEndian.AppendUint16(append(dst, packets.PropTopicAlias), p.alias)
		}
		if !p.m.expires.IsZero() { // what is left of it [MQTT-3.3.2-6]
			left := max(1, p.m.expires.Sub(p.now)/time.Second)
			dst = binary.BigEndian.AppendUint32(append(dst, packets.PropMessageExpiryInterval), uint32(left))
		}
		for _, id := range p.ids {
			dst = binary.AppendUvarint(append(dst, packets.PropSubscriptionIdentifier), uint64(id))
		}
		dst = append(dst, p.m.properties...)
	}
	return append(dst, p.m.payload...)
}

func varint(n int) int {
	switch {
	case n < 1<<7:
		return 1
	case n < 1<<14:
		return 2
	case n < 1<<21:
		return 3
	}
	return 4
}
