package broker_test

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"edgeshadow/localshadow/broker"
)

// The tests of this file and of standard5_test.go follow the chapters of MQTT
// 3.1.1 and 5, and name their clauses. They use no client library: each sees
// what is on the wire.

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

// 3.1: the first packet is a CONNECT [MQTT-3.1.0-1], with a protocol name
// [MQTT-3.1.2-1], reserved flag 0 [MQTT-3.1.2-3], will flags only with a will
// [MQTT-3.1.2-11], [MQTT-3.1.2-13], [MQTT-3.1.2-15], and a will QoS up to 2
// [MQTT-3.1.2-14]; else the connection is closed, with no session.
func TestStandard_ConnectRefused(t *testing.T) {
	b, _ := MustServe(t)
	body := func(name string, version, flags byte) []byte {
		return append(append(append(text(name), version, flags, 0, 60), none(max(version, v3))...), text("c")...)
	}
	for name, packet := range map[string][]byte{
		"not a CONNECT":          {pingreq},
		"a PUBLISH":              append([]byte{qos0}, text("x")...),
		"another protocol":       append([]byte{0x10}, body("MQTX", v3, clean)...),
		"a reserved flag":        append([]byte{0x10}, body("MQTT", v3, clean|1)...),
		"will QoS without will":  append([]byte{0x10}, body("MQTT", v3, clean|0x18)...),
		"will QoS 3":             append(append([]byte{0x10}, body("MQTT", v3, clean|4|0x18)...), append(text("w"), text("w")...)...),
		"retain without will":    append([]byte{0x10}, body("MQTT", v3, clean|0x20)...),
		"a cut CONNECT":          {0x10, 0, 4, 'M', 'Q'},
		"no client id":           append([]byte{0x10}, append(text("MQTT"), v3, clean, 0, 60)...),
		"a client id not UTF-8":  append([]byte{0x10}, append(append(text("MQTT"), v3, clean, 0, 60), 0, 1, 0xff)...), // [MQTT-1.5.3-1]
		"a client id with a nul": append([]byte{0x10}, append(append(text("MQTT"), v3, clean, 0, 60), 0, 1, 0)...),    // [MQTT-1.5.3-2]
	} {
		t.Run(name, func(t *testing.T) {
			p := mustDial(t, b)
			p.send(t, packet[0], packet[1:])
			if header, ack, err := p.read(); err == nil && (header != connack || ack[1] == 0) {
				t.Errorf("answered %#x % x", header, ack)
			}
			p.expectClosed(t)
		})
	}
	for _, version := range []byte{3, 6} { // an unknown version is told [MQTT-3.1.2-2]
		p := mustDial(t, b)
		p.send(t, 0x10, body("MQTT", version, clean))
		if header, ack, err := p.read(); err == nil && (header != connack || ack[1] == 0) {
			t.Errorf("version %d: %#x % x", version, header, ack)
		}
		p.expectClosed(t)
	}
	if s := b.Stats(); s.Sessions != 0 {
		t.Errorf("%d sessions", s.Sessions)
	}
}

// 3.1.3.1: an empty client id is given one, for a clean session [MQTT-3.1.3-6];
// without one, 3.1.1 is refused [MQTT-3.1.3-8].
func TestStandard_EmptyClientID(t *testing.T) {
	b, _ := MustServe(t)
	p, present := mustOpen(t, b, v3, "", clean)
	if present {
		t.Error("a session is present")
	}
	p.mustSubscribe(t, v3, 1, "x", 0)
	p.mustPublish(t, v3, 0, "y", "")
	p = mustDial(t, b)
	p.send(t, 0x10, connect(v3, "", 0))
	if ack := p.expect(t, connack); ack[0] != 0 || ack[1] != 2 {
		t.Errorf("CONNACK % x", ack)
	}
	p.expectClosed(t)
}

// 3.1.2.4: a session that lasts is taken up [MQTT-3.1.2-4], [MQTT-3.2.2-2]; a
// clean one discards it [MQTT-3.1.2-6].
func TestStandard_SessionPresent(t *testing.T) {
	both(t, func(t *testing.T, b *broker.Broker, version byte) {
		for i, step := range []struct {
			flags   byte
			present bool
		}{{0, false}, {0, true}, {0, true}, {clean, false}} {
			p, present := mustOpen(t, b, version, "c", step.flags, lasting...)
			if present != step.present {
				t.Errorf("step %d: present %v", i, present)
			}
			p.send(t, disconnect)
			p.expectClosed(t)
		}
	})
}

// 3.3, 4.3: each QoS of a message meets each of a subscription, and the lower
// one holds [MQTT-3.8.4-6].
func TestStandard_QoS(t *testing.T) {
	both(t, func(t *testing.T, b *broker.Broker, version byte) {
		p, _ := mustOpen(t, b, version, "c", clean)
		sender, _ := mustOpen(t, b, version, "sender", clean)
		for granted := range byte(3) {
			if code := p.mustSubscribe(t, version, 1, "q", granted); code != granted {
				t.Errorf("granted %d, want %d", code, granted)
			}
			for qos := range byte(3) {
				payload := fmt.Sprint(granted, qos)
				sender.mustPublish(t, version, qos<<1, "q", payload)
				m := p.expectPublish(t, version)
				want := received{header: qos0 | min(granted, qos)<<1, topic: "q", payload: payload, id: m.id}
				if diff := cmp.Diff(want, m, cmp.AllowUnexported(received{}, properties{})); diff != "" {
					t.Errorf("granted %d, sent at %d (-want +got):\n%s", granted, qos, diff)
				}
			}
		}
		p.expectNothing(t)
	})
}

// 3.3.1.3: a retained message is sent to new subscribers with RETAIN
// [MQTT-3.3.1-8], to those of a wildcard too, and to the others without
// [MQTT-3.3.1-9]; another one takes its place [MQTT-3.3.1-5]; an empty one
// removes it and is itself not kept [MQTT-3.3.1-10], [MQTT-3.3.1-11].
func TestStandard_Retained(t *testing.T) {
	both(t, func(t *testing.T, b *broker.Broker, version byte) {
		sender, _ := mustOpen(t, b, version, "sender", clean)
		for qos := range byte(3) {
			sender.mustPublish(t, version, qos<<1|retain, fmt.Sprintf("r/%d/x", qos), "old")
			sender.mustPublish(t, version, qos<<1|retain, fmt.Sprintf("r/%d/x", qos), "kept")
		}
		sender.mustPublish(t, version, qos1&0x0f|retain, "r/9/x", "gone")
		sender.mustPublish(t, version, qos1&0x0f|retain, "r/9/x", "")
		p, _ := mustOpen(t, b, version, "c", clean)
		p.mustSubscribe(t, version, 1, "r/+/x", 1)
		got := map[string]byte{}
		for range 3 {
			m := p.expectPublish(t, version)
			if got[m.topic] = m.header; m.payload != "kept" {
				t.Errorf("%s: %q", m.topic, m.payload)
			}
		}
		want := map[string]byte{"r/0/x": qos0 | retain, "r/1/x": qos1 | retain, "r/2/x": qos1 | retain}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("retained (-want +got):\n%s", diff)
		}
		sender.mustPublish(t, version, qos1&0x0f|retain, "r/1/x", "live")
		if m := p.expectPublish(t, version); m.header != qos1 || m.payload != "live" {
			t.Errorf("%#x %s", m.header, m.payload)
		}
		p.expectNothing(t)
	})
}

// 3.1.2.4, 4.4: what comes while a client is away waits for it at QoS 1 and 2
// [MQTT-3.1.2-5], in its order [MQTT-4.6.0-6].
func TestStandard_OfflineQueue(t *testing.T) {
	both(t, func(t *testing.T, b *broker.Broker, version byte) {
		p, _ := mustOpen(t, b, version, "c", 0, lasting...)
		p.mustSubscribe(t, version, 1, "q/+", 2)
		p.send(t, disconnect)
		p.expectClosed(t)
		sender, _ := mustOpen(t, b, version, "sender", clean)
		for qos := range byte(3) {
			sender.mustPublish(t, version, qos<<1, fmt.Sprint("q/", qos), fmt.Sprint(qos))
		}
		p, _ = mustOpen(t, b, version, "c", 0, lasting...)
		for _, qos := range []byte{1, 2} {
			if m := p.expectPublish(t, version); m.header != qos0|qos<<1 || m.payload != fmt.Sprint(qos) {
				t.Errorf("%#x %s", m.header, m.payload)
			}
		}
		p.expectNothing(t)
	})
}

// 4.4: after a reconnect what is not acknowledged comes again, with DUP and its
// packet id [MQTT-4.4.0-1], [MQTT-3.3.1-1], and PUBREL where PUBREC was sent.
func TestStandard_Redelivery(t *testing.T) {
	both(t, func(t *testing.T, b *broker.Broker, version byte) {
		p, _ := mustOpen(t, b, version, "c", 0, lasting...)
		p.mustSubscribe(t, version, 1, "q/+", 2)
		sender, _ := mustOpen(t, b, version, "sender", clean)
		for qos := byte(1); qos < 3; qos++ {
			sender.mustPublish(t, version, qos<<1, fmt.Sprint("q/", qos), "x")
		}
		sender.mustPublish(t, version, 2<<1, "q/3", "x")
		first := []received{p.expectUnacked(t, version), p.expectUnacked(t, version), p.expectUnacked(t, version)}
		p.send(t, pubrec, ids(first[2].id))
		p.expect(t, pubrel)
		_ = p.Close()

		p, _ = mustOpen(t, b, version, "c", 0, lasting...)
		for _, was := range first[:2] {
			want := was
			want.header |= dup
			if diff := cmp.Diff(want, p.expectUnacked(t, version), cmp.AllowUnexported(received{}, properties{})); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		}
		if got := p.expect(t, pubrel); binary.BigEndian.Uint16(got) != first[2].id {
			t.Errorf("PUBREL of % x", got)
		}
		p.send(t, puback, ids(first[0].id))
		p.send(t, pubrec, ids(first[1].id))
		p.expect(t, pubrel)
		p.send(t, pubcomp, ids(first[1].id))
		p.send(t, pubcomp, ids(first[2].id))
		p.expectNothing(t)
		_ = p.Close()
		p, _ = mustOpen(t, b, version, "c", 0, lasting...)
		p.expectNothing(t)
	})
}

// 3.3.5: with overlapping subscriptions the highest QoS holds [MQTT-3.3.5-1].
func TestStandard_Overlapping(t *testing.T) {
	both(t, func(t *testing.T, b *broker.Broker, version byte) {
		p, _ := mustOpen(t, b, version, "c", clean)
		for i, filter := range []string{"a/#", "a/+", "a/b"} {
			p.mustSubscribe(t, version, byte(i+1), filter, byte(2-i))
		}
		p.mustPublish(t, version, 0, "nothing", "")
		sender, _ := mustOpen(t, b, version, "sender", clean)
		sender.mustPublish(t, version, 2<<1, "a/b", "x")
		if m := p.expectPublish(t, version); m.header != qos2 {
			t.Errorf("%#x", m.header)
		}
		p.expectNothing(t) // once
	})
}

// 3.8.4: a SUBSCRIBE of several filters has a code for each, in their order
// [MQTT-3.8.4-5], and one that is there is replaced [MQTT-3.8.4-3], its retained
// messages sent again.
func TestStandard_SubscribeMany(t *testing.T) {
	both(t, func(t *testing.T, b *broker.Broker, version byte) {
		p, _ := mustOpen(t, b, version, "c", clean)
		p.mustPublish(t, version, retain, "a/b", "kept")
		p.send(t, subscribe, ids(3), none(version),
			text("a/b"), []byte{2}, text("$aws/rules/x"), []byte{1}, text("x/#/y"), []byte{0}, text("z"), []byte{0})
		want := append(append(ids(3), none(version)...), 2, 0x80, 0x80, 0)
		if version == v5 {
			want = append(append(ids(3), 0), 2, 0x87, 0x8f, 0)
		}
		if diff := cmp.Diff(want, p.expect(t, suback)); diff != "" {
			t.Errorf("SUBACK (-want +got):\n%s", diff)
		}
		if m := p.expectPublish(t, version); m.payload != "kept" || m.header != qos0|retain {
			t.Errorf("retained %#x %q", m.header, m.payload)
		}
		p.mustSubscribe(t, version, 4, "a/b", 1)
		if m := p.expectPublish(t, version); m.payload != "kept" {
			t.Errorf("retained %q", m.payload)
		}
		if n := b.Stats().Subscriptions; n != 2 {
			t.Errorf("%d subscriptions", n)
		}
	})
}

// 3.10: an UNSUBSCRIBE is answered, whatever it names [MQTT-3.10.4-4],
// [MQTT-3.10.4-5], and nothing comes any more [MQTT-3.10.4-2].
func TestStandard_Unsubscribe(t *testing.T) {
	both(t, func(t *testing.T, b *broker.Broker, version byte) {
		p, _ := mustOpen(t, b, version, "c", clean)
		for i, filter := range []string{"a", "b/+", "c/#"} {
			p.mustSubscribe(t, version, byte(i+1), filter, 1)
		}
		p.send(t, unsubscribe, ids(9), none(version), text("a"), text("never"), text("b/+"))
		want := ids(9)
		if version == v5 {
			want = append(want, 0, 0, 0x11, 0)
		}
		if diff := cmp.Diff(want, p.expect(t, unsuback)); diff != "" {
			t.Errorf("UNSUBACK (-want +got):\n%s", diff)
		}
		for _, topic := range []string{"a", "b/x", "c/x"} {
			p.send(t, qos0, text(topic), none(version))
		}
		if m := p.expectPublish(t, version); m.topic != "c/x" {
			t.Errorf("on %s", m.topic)
		}
		p.expectNothing(t)
	})
}

// 4.7: which filter matches which topic [MQTT-4.7.1-1] to [MQTT-4.7.1-3],
// [MQTT-4.7.2-1], [MQTT-4.7.3-4].
func TestStandard_Filters(t *testing.T) {
	both(t, func(t *testing.T, b *broker.Broker, version byte) {
		topics := []string{"a", "a/", "a/b", "a/b/c", "/a", "/", "//", "A/b", "a b/ü", "$other", "b/a"}
		p, _ := mustOpen(t, b, version, "c", clean)
		for i, row := range []struct {
			filter string
			want   string
		}{
			{"#", "a|a/|a/b|a/b/c|/a|/|//|A/b|a b/ü|b/a"},
			{"a", "a"},
			{"a/#", "a|a/|a/b|a/b/c"},
			{"a/+", "a/|a/b"},
			{"a/+/#", "a/|a/b|a/b/c"},
			{"+", "a"},
			{"+/+", "a/|a/b|/a|/|A/b|a b/ü|b/a"},
			{"/+", "/a|/"},
			{"/#", "/a|/|//"},
			{"+/", "a/|/"},
			{"+/b/#", "a/b|a/b/c|A/b"},
			{"a b/ü", "a b/ü"},
			{"a/b/c/#", "a/b/c"},
		} {
			p.mustSubscribe(t, version, byte(i+1), row.filter, 0)
			for _, topic := range topics {
				if !strings.HasPrefix(topic, "$") {
					p.send(t, qos0, text(topic), none(version))
				}
			}
			p.send(t, unsubscribe, ids(99), none(version), text(row.filter))
			var got []string
			for {
				header, body, err := p.read()
				if err != nil {
					t.Fatal(err)
				}
				if header == unsuback {
					break
				}
				got = append(got, string(body[2:2+binary.BigEndian.Uint16(body)]))
			}
			if diff := cmp.Diff(row.want, strings.Join(got, "|")); diff != "" {
				t.Errorf("%s (-want +got):\n%s", row.filter, diff)
			}
		}
	})
}

// 3.12: a PINGREQ is answered [MQTT-3.12.4-1].
func TestStandard_Ping(t *testing.T) {
	both(t, func(t *testing.T, b *broker.Broker, version byte) {
		p, _ := mustOpen(t, b, version, "c", clean)
		p.send(t, pingreq)
		if body := p.expect(t, pingresp); len(body) != 0 {
			t.Errorf("PINGRESP % x", body)
		}
	})
}

// 3.1.2.10: a client that is silent for 1.5 times its keep-alive is gone
// [MQTT-3.1.2-24], and its will is sent [MQTT-3.1.2-8].
func TestStandard_KeepAlive(t *testing.T) {
	both(t, func(t *testing.T, b *broker.Broker, version byte) {
		watch, _ := mustOpen(t, b, version, "watch", clean)
		watch.mustSubscribe(t, version, 1, "will/#", 2)
		p := mustDial(t, b)
		body := append(text("MQTT"), version, clean|4|0x10, 0, 1)
		p.send(t, 0x10, body, none(version), text("c"), none(version), text("will/c"), text("silent"))
		p.expect(t, connack)
		if version == v5 {
			if got := p.expect(t, disconnect); got[0] != 0x8d {
				t.Errorf("DISCONNECT %#x", got[0])
			}
		}
		p.expectClosed(t)
		if m := watch.expectPublish(t, version); m.payload != "silent" || m.header != qos2 {
			t.Errorf("will %#x %q", m.header, m.payload)
		}
	})
}

// 3.1.2.5, 3.1.2.7: a retained will is kept [MQTT-3.1.2-17].
func TestStandard_RetainedWill(t *testing.T) {
	both(t, func(t *testing.T, b *broker.Broker, version byte) {
		watch, _ := mustOpen(t, b, version, "watch", clean)
		watch.mustSubscribe(t, version, 1, "will/#", 1)
		p := mustDial(t, b)
		p.send(t, 0x10, connect(version, "c", clean|4|0x20), none(version), text("will/c"), text("gone"))
		p.expect(t, connack)
		_ = p.Close()
		if m := watch.expectPublish(t, version); m.payload != "gone" || m.header != qos0 {
			t.Errorf("will %#x %q", m.header, m.payload)
		}
		watch.mustSubscribe(t, version, 2, "will/+", 1)
		if m := watch.expectPublish(t, version); m.payload != "gone" || m.header != qos0|retain {
			t.Errorf("retained will %#x %q", m.header, m.payload)
		}
	})
}

// 4.8.2, also in 3.1.1: each message goes to one member of a group, whoever is
// connected; a retained one to none.
func TestStandard_SharedSubscriptions(t *testing.T) {
	both(t, func(t *testing.T, b *broker.Broker, version byte) {
		sender, _ := mustOpen(t, b, version, "sender", clean)
		sender.mustPublish(t, version, retain, "s/x", "retained")
		var members []*peer
		for i := range 3 {
			p, _ := mustOpen(t, b, version, fmt.Sprint("m", i), 0, lasting...)
			p.mustSubscribe(t, version, 1, "$share/g/s/#", 1)
			p.expectNothing(t)
			members = append(members, p)
		}
		alone, _ := mustOpen(t, b, version, "alone", clean)
		alone.mustSubscribe(t, version, 1, "$share/h/s/x", 1)
		const n = 30
		for i := range n {
			sender.mustPublish(t, version, 1<<1, "s/x", fmt.Sprint(i))
			if m := alone.expectPublish(t, version); m.payload != fmt.Sprint(i) {
				t.Errorf("the other group got %s", m.payload)
			}
		}
		for i, p := range members {
			for range n / len(members) {
				p.expectPublish(t, version)
			}
			p.expectNothing(t)
			if i > 0 {
				p.send(t, disconnect)
				p.expectClosed(t)
			}
		}
		for range n {
			sender.mustPublish(t, version, 1<<1, "s/x", "for who is there")
			members[0].expectPublish(t, version)
			alone.expectPublish(t, version)
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
