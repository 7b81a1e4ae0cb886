package broker

import (
	"encoding/binary"
	"slices"
	"strings"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"
)

// Retained is a message that is kept for the subscribers to come.
type Retained struct {
	Message
	Modified       time.Time // by the clock of then
	UserProperties [][2]string
}

// Retained is the retained message of a topic.
func (b *Broker) Retained(topic string) (Retained, bool) {
	m := b.retained.get(topic)
	if m == nil {
		return Retained{}, false
	}
	return retainedOf(m), true
}

// AllRetained are all of them, in the order of their topics.
func (b *Broker) AllRetained() []Retained {
	found, expired := b.retained.matching("#")
	for _, m := range expired {
		b.keeper.unretain(m.topic)
	}
	out := make([]Retained, 0, len(found))
	for _, m := range found {
		out = append(out, retainedOf(m))
	}
	slices.SortFunc(out, func(a, b Retained) int { return strings.Compare(a.Topic, b.Topic) })
	return out
}

func retainedOf(m *message) Retained {
	return Retained{
		Message:        Message{Topic: m.topic, Payload: m.payload, QoS: m.qos, Retain: true},
		Modified:       time.UnixMilli(m.stamp),
		UserProperties: userProperties(m.properties),
	}
}

// userProperties picks the user's out of what appendProperties wrote.
func userProperties(b []byte) (out [][2]string) {
	text := func() (s string) {
		n := int(binary.BigEndian.Uint16(b))
		s, b = string(b[2:2+n]), b[2+n:]
		return s
	}
	for len(b) > 0 {
		kind := b[0]
		b = b[1:]
		switch kind {
		case packets.PropPayloadFormat:
			b = b[1:]
		case packets.PropUser:
			out = append(out, [2]string{text(), text()})
		default:
			text()
		}
	}
	return out
}
