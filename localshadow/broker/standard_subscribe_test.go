package broker_test

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"edgeshadow/localshadow/broker"
)

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
