package broker_test

import (
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"edgeshadow/localshadow/broker"
)

// The tests of this file, of standard_*_test.go and of standard5_test.go follow
// the chapters of MQTT 3.1.1 and 5, and name their clauses. They use no client
// library: each sees what is on the wire.

// both runs a test in both versions of the protocol.
func both(t *testing.T, f func(t *testing.T, b *broker.Broker, version byte)) {
	for _, version := range []byte{v3, v5} {
		t.Run(fmt.Sprintf("version=%d", version), func(t *testing.T) {
			b, _ := MustServe(t)
			f(t, b, version)
		})
	}
}

// none is an empty list of properties, in MQTT 5.
func none(version byte) []byte { return make([]byte, version-v3) }

// lasting is a Session Expiry Interval for a CONNECT of MQTT 5; in 3.1.1 the
// clean flag says so.
var lasting = []byte{0x11, 0, 1, 0, 0}

// mustPublish publishes at QoS 0 to 2 and waits for the acknowledgement.
func (p *peer) mustPublish(tb testing.TB, version byte, flags byte, topic, payload string) {
	tb.Helper()
	switch flags & 0x06 {
	case 0:
		p.send(tb, flags|qos0, text(topic), none(version), []byte(payload))
		p.expectNothing(tb)
	case 2:
		p.send(tb, flags|qos0, text(topic), ids(77), none(version), []byte(payload))
		p.expect(tb, puback)
	default:
		p.send(tb, flags|qos0, text(topic), ids(77), none(version), []byte(payload))
		p.expect(tb, pubrec)
		p.send(tb, pubrel, ids(77))
		p.expect(tb, pubcomp)
	}
}

// received is a PUBLISH that came.
type received struct {
	header  byte
	topic   string
	id      uint16
	payload string
	properties
}

// expectPublish reads a PUBLISH and acknowledges it.
func (p *peer) expectPublish(tb testing.TB, version byte) received {
	tb.Helper()
	m := p.expectUnacked(tb, version)
	switch m.header & 0x06 {
	case 2:
		p.send(tb, puback, ids(m.id))
	case 4:
		p.send(tb, pubrec, ids(m.id))
		p.expect(tb, pubrel)
		p.send(tb, pubcomp, ids(m.id))
	}
	return m
}

func (p *peer) expectUnacked(tb testing.TB, version byte) received {
	tb.Helper()
	header, body, err := p.read()
	if err != nil || header&0xf0 != qos0 {
		tb.Fatalf("packet %#x % x, %v, want a PUBLISH", header, body, err)
	}
	m := received{header: header}
	n := binary.BigEndian.Uint16(body)
	m.topic, body = string(body[2:2+n]), body[2+n:]
	if header&0x06 != 0 {
		m.id, body = binary.BigEndian.Uint16(body), body[2:]
	}
	if version == v5 {
		m.properties, body = readProperties(tb, body)
	}
	m.payload = string(body)
	return m
}

// 2.2.2-2, 3.x: flags that are reserved must be as they are defined, or the
// connection is closed [MQTT-2.2.2-2].
func TestStandard_ReservedFlags(t *testing.T) {
	both(t, func(t *testing.T, b *broker.Broker, version byte) {
		for name, packet := range map[string][]byte{
			"SUBSCRIBE":   append([]byte{0x80}, append(append(ids(1), none(version)...), append(text("x"), 0)...)...), // [MQTT-3.8.1-1]
			"UNSUBSCRIBE": append([]byte{0xa0}, append(append(ids(1), none(version)...), text("x")...)...),            // [MQTT-3.10.1-1]
			"PUBREL":      append([]byte{0x60}, ids(1)...),                                                            // [MQTT-3.6.1-1]
			"PINGREQ":     {0xc1},
			"DISCONNECT":  {0xe1}, // [MQTT-3.14.1-1]
			"type 0":      {0x00},
		} {
			t.Run(name, func(t *testing.T) {
				p, _ := mustOpen(t, b, version, "c", clean)
				p.send(t, packet[0], packet[1:])
				p.expectClosed(t)
			})
		}
	})
}

// 3.1.4: what comes with the CONNECT, before its CONNACK, is served in its order
// [MQTT-3.1.4-6].
func TestStandard_Pipelined(t *testing.T) {
	both(t, func(t *testing.T, b *broker.Broker, version byte) {
		p := mustDial(t, b)
		p.send(t, 0x10, connect(version, "c", clean))
		p.send(t, subscribe, ids(1), none(version), text("x"), []byte{1})
		p.send(t, qos1, text("x"), ids(2), none(version), []byte("1"))
		p.send(t, pingreq)
		p.expect(t, connack)
		p.expect(t, suback)
		var got []byte
		for range 3 {
			header, _, err := p.read()
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, header)
		}
		if diff := cmp.Diff([]byte{qos1, puback, pingresp}, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}
