package broker_test

import (
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"edgeshadow/localshadow/broker"
)

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
