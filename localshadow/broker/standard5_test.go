package broker_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// properties are those of a packet, by their identifiers.
type properties struct {
	numbers map[byte]uint32
	texts   map[byte]string
	user    []string // names and values
	ids     []int    // of subscriptions
}

func readProperties(tb testing.TB, body []byte) (p properties, rest []byte) {
	tb.Helper()
	n, used := binary.Uvarint(body)
	list, rest := body[used:used+int(n)], body[used+int(n):]
	take := func(n int) []byte {
		out := list[:n]
		list = list[n:]
		return out
	}
	long := func() string { return string(take(int(binary.BigEndian.Uint16(take(2))))) }
	number := func(id byte, v uint32) {
		if p.numbers == nil {
			p.numbers = map[byte]uint32{}
		}
		p.numbers[id] = v
	}
	for len(list) > 0 {
		switch id := take(1)[0]; id {
		case 0x01, 0x17, 0x19, 0x24, 0x25, 0x28, 0x29, 0x2a:
			number(id, uint32(take(1)[0]))
		case 0x13, 0x21, 0x22, 0x23:
			number(id, uint32(binary.BigEndian.Uint16(take(2))))
		case 0x02, 0x11, 0x18, 0x27:
			number(id, binary.BigEndian.Uint32(take(4)))
		case 0x0b:
			v, used := binary.Uvarint(list)
			take(used)
			p.ids = append(p.ids, int(v))
		case 0x26:
			p.user = append(p.user, long(), long())
		default:
			if p.texts == nil {
				p.texts = map[byte]string{}
			}
			p.texts[id] = long()
		}
	}
	return p, rest
}

// property of two bytes, four bytes, and of text.
func short(id byte, v uint16) []byte { return binary.BigEndian.AppendUint16([]byte{id}, v) }
func long(id byte, v uint32) []byte  { return binary.BigEndian.AppendUint32([]byte{id}, v) }
func texts(id byte, s ...string) []byte {
	out := []byte{id}
	for _, s := range s {
		out = append(out, text(s)...)
	}
	return out
}

// listOf is a list of properties with its length.
func listOf(p ...[]byte) []byte {
	all := bytes.Join(p, nil)
	return append(binary.AppendUvarint(nil, uint64(len(all))), all...)
}

// 3.2.2.3: what CONNACK says of the broker; a client id is assigned
// [MQTT-3.1.3-7], [MQTT-3.2.2-16].
func TestStandard5_Connack(t *testing.T) {
	b, _ := MustServe(t)
	p := mustDial(t, b)
	p.send(t, 0x10, connect(v5, "", clean))
	got, _ := readProperties(t, p.expect(t, connack)[2:])
	if got.texts[0x12] == "" {
		t.Error("no client id was assigned")
	}
	want := map[byte]uint32{0x21: 100, 0x22: 32, 0x27: 132 << 10} // Receive Maximum, Topic Alias Maximum, Maximum Packet Size
	if diff := cmp.Diff(want, got.numbers); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// 3.1.2.11.2: a session lasts as long as it was asked to, by CONNECT or by
// DISCONNECT [MQTT-3.1.2-23]; one of 0 can't be prolonged (3.14.2.2.2).
func TestStandard5_SessionExpiry(t *testing.T) {
	b, _ := MustServe(t)
	_, present := mustOpen(t, b, v5, "a", 0) // 0: ends with the connection
	if present {
		t.Error("present at first")
	}
	p, present := mustOpen(t, b, v5, "a", 0, lasting...)
	if present {
		t.Error("a session of 0 seconds lasted")
	}
	p.send(t, disconnect, []byte{0}, listOf(long(0x11, 0)))
	p.expectClosed(t)
	p, present = mustOpen(t, b, v5, "a", 0)
	if present {
		t.Error("DISCONNECT did not end the session")
	}
	p.send(t, disconnect, []byte{0}, listOf(long(0x11, 5)))
	if got := p.expect(t, disconnect); got[0] != 0x82 {
		t.Errorf("DISCONNECT %#x", got[0])
	}
	p.expectClosed(t)
	p, _ = mustOpen(t, b, v5, "b", 0, lasting...)
	p.send(t, disconnect, []byte{0}, listOf(long(0x11, 1<<32-1)))
	p.expectClosed(t)
	if _, present = mustOpen(t, b, v5, "b", 0, lasting...); !present {
		t.Error("a session for ever has ended")
	}
}

// 3.1.3.2: a will has properties, and a delay, which a new connection cuts short
// [MQTT-3.1.3-9], as does the end of the session.
func TestStandard5_Will(t *testing.T) {
	b, _ := MustServe(t)
	watch, _ := mustOpen(t, b, v5, "watch", clean)
	watch.mustSubscribe(t, v5, 1, "will/#", 1)
	open := func(id string, delay uint32, session ...byte) *peer {
		p := mustDial(t, b)
		will := listOf(long(0x18, delay), texts(0x03, "text/plain"), texts(0x08, "re"), texts(0x09, "c"), texts(0x26, "k", "v"), long(0x02, 90), []byte{0x01, 1})
		p.send(t, 0x10, connect(v5, id, 4|8, session...), will, text("will/"+id), text("gone"))
		p.expect(t, connack)
		return p
	}
	_ = open("plain", 0).Close()
	want := properties{
		numbers: map[byte]uint32{0x01: 1, 0x02: 90}, texts: map[byte]string{0x03: "text/plain", 0x08: "re", 0x09: "c"}, user: []string{"k", "v"},
	}
	m := watch.expectPublish(t, v5)
	if m.numbers[0x02] == 89 {
		m.numbers[0x02] = 90 // a second has passed
	}
	if diff := cmp.Diff(want, m.properties, cmp.AllowUnexported(properties{})); diff != "" {
		t.Errorf("properties (-want +got):\n%s", diff)
	}
	_ = open("delayed", 1, lasting...).Close()
	_ = open("saved", 1, lasting...).Close()
	saved := open("saved", 1, lasting...)
	_ = open("ended", 60).Close()
	_ = open("ended-later", 60, long(0x11, 1)...).Close()
	got := map[string]bool{}
	for range 3 {
		got[watch.expectPublish(t, v5).topic] = true
	}
	if diff := cmp.Diff(map[string]bool{"will/delayed": true, "will/ended": true, "will/ended-later": true}, got); diff != "" {
		t.Errorf("wills (-want +got):\n%s", diff)
	}
	saved.send(t, disconnect, []byte{4}) // with will, 3.14.2.1
	if m := watch.expectPublish(t, v5); m.topic != "will/saved" {
		t.Errorf("will on %s", m.topic)
	}
	watch.expectNothing(t)
}

// 3.3.2.3: properties reach subscribers unaltered and in their order
// [MQTT-3.3.2-4], [MQTT-3.3.2-15] to [MQTT-3.3.2-20], and 3.1.1 without them.
func TestStandard5_Properties(t *testing.T) {
	b, _ := MustServe(t)
	p, _ := mustOpen(t, b, v5, "c", clean)
	p.mustSubscribe(t, v5, 1, "q", 2)
	old, _ := mustOpen(t, b, v3, "old", clean)
	old.mustSubscribe(t, v3, 1, "q", 2)
	p.send(t, qos1, text("q"), ids(1), listOf(
		[]byte{0x01, 1}, texts(0x03, "json"), texts(0x08, "answers/c"), texts(0x09, "\x00\x01"),
		texts(0x26, "a", "2"), texts(0x26, "a", "1"), texts(0x26, "", ""),
	), []byte("x"))
	m := p.expectPublish(t, v5)
	want := properties{
		numbers: map[byte]uint32{0x01: 1}, texts: map[byte]string{0x03: "json", 0x08: "answers/c", 0x09: "\x00\x01"},
		user: []string{"a", "2", "a", "1", "", ""},
	}
	if diff := cmp.Diff(want, m.properties, cmp.AllowUnexported(properties{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := p.expect(t, puback); !bytes.Equal(got, ids(1)) { // none of the PUBLISH's
		t.Errorf("PUBACK % x", got)
	}
	if _, payload := old.expectMessage(t, qos1, "q"); payload != "x" {
		t.Errorf("3.1.1 got %q", payload)
	}
	// A response topic has no wildcards [MQTT-3.3.2-14].
	p.send(t, qos0, text("q"), listOf(texts(0x08, "a/+")))
	if got := p.expect(t, disconnect); got[0] != 0x82 {
		t.Errorf("DISCONNECT %#x", got[0])
	}
}

// 3.3.2.3.3: a message expires [MQTT-3.3.2-5], retained ones too, and says what
// is left of its time [MQTT-3.3.2-6].
func TestStandard5_MessageExpiry(t *testing.T) {
	b, _ := MustServe(t)
	p, _ := mustOpen(t, b, v5, "c", 0, lasting...)
	p.mustSubscribe(t, v5, 1, "q/#", 1)
	p.send(t, disconnect)
	p.expectClosed(t)
	sender, _ := mustOpen(t, b, v5, "sender", clean)
	for i, seconds := range []uint32{1, 100, 0} {
		var list [][]byte
		if seconds > 0 {
			list = append(list, long(0x02, seconds))
		}
		sender.send(t, qos1|retain, text(fmt.Sprint("q/", i)), ids(1), listOf(list...), []byte("x"))
		sender.expect(t, puback)
	}
	<-time.After(1100 * time.Millisecond) // for the first to expire
	p, _ = mustOpen(t, b, v5, "c", 0, lasting...)
	m := p.expectPublish(t, v5)
	if left := m.numbers[0x02]; m.topic != "q/1" || left == 0 || left > 99 {
		t.Errorf("%s has %d s left", m.topic, left)
	}
	if m := p.expectPublish(t, v5); m.topic != "q/2" || m.numbers != nil {
		t.Errorf("%s has %v", m.topic, m.numbers)
	}
	p.expectNothing(t)
	for i, want := range []bool{false, true, true} {
		p.mustSubscribe(t, v5, 2, fmt.Sprint("q/", i), 1)
		if want {
			p.expectPublish(t, v5)
		}
		p.expectNothing(t)
	}
}

// 3.8.3.1: options of a subscription.
func TestStandard5_NoLocal(t *testing.T) {
	b, _ := MustServe(t)
	p, _ := mustOpen(t, b, v5, "c", clean)
	p.mustSubscribe(t, v5, 1, "q/#", 1|4) // [MQTT-3.8.3-3]
	other, _ := mustOpen(t, b, v5, "other", clean)
	other.mustSubscribe(t, v5, 1, "q/#", 1|4)
	p.mustPublish(t, v5, 1<<1, "q/x", "mine")
	p.expectNothing(t)
	other.expectPublish(t, v5)
	other.mustPublish(t, v5, 1<<1, "q/x", "other's")
	if m := p.expectPublish(t, v5); m.payload != "other's" {
		t.Errorf("%q", m.payload)
	}
	p.send(t, subscribe, ids(2), []byte{0}, text("$share/g/q"), []byte{1 | 4}) // [MQTT-3.8.3-4]
	if got := p.expect(t, disconnect); got[0] != 0x82 {
		t.Errorf("DISCONNECT %#x", got[0])
	}
}

func TestStandard5_RetainAsPublished(t *testing.T) {
	b, _ := MustServe(t)
	p, _ := mustOpen(t, b, v5, "c", clean)
	for _, row := range []struct{ options, flags, want byte }{
		{0, retain, qos0}, // [MQTT-3.3.1-12]
		{8, retain, qos0 | retain},
		{8, 0, qos0}, // [MQTT-3.3.1-13]
	} {
		p.mustSubscribe(t, v5, 1, "q", row.options|2<<4)
		p.send(t, qos0|row.flags, text("q"), []byte{0}, []byte("x"))
		if m := p.expectPublish(t, v5); m.header != row.want {
			t.Errorf("options %#x, flags %#x: %#x, want %#x", row.options, row.flags, m.header, row.want)
		}
	}
}

func TestStandard5_RetainHandling(t *testing.T) {
	b, _ := MustServe(t)
	p, _ := mustOpen(t, b, v5, "c", clean)
	p.mustPublish(t, v5, retain, "q", "kept")
	for i, row := range []struct {
		handling byte
		want     bool
	}{
		{2, false}, // [MQTT-3.3.1-11]
		{1, false}, // [MQTT-3.3.1-10]: the subscription is there
		{0, true},  // [MQTT-3.3.1-9]
		{0, true},
	} {
		p.mustSubscribe(t, v5, 1, "q", row.handling<<4)
		if row.want {
			p.expectPublish(t, v5)
		}
		p.expectNothing(t)
		if t.Failed() {
			t.Fatalf("row %d", i)
		}
	}
	p.mustSubscribe(t, v5, 1, "+", 1<<4) // a new one
	p.expectPublish(t, v5)
	p.send(t, subscribe, ids(2), []byte{0}, text("q"), []byte{3 << 4}) // a protocol error
	if got := p.expect(t, disconnect); got[0] != 0x82 {
		t.Errorf("DISCONNECT %#x", got[0])
	}
}

// 3.8.2.1.2: a message carries the identifiers of the subscriptions that it
// comes for [MQTT-3.3.4-3], [MQTT-3.3.4-4].
func TestStandard5_SubscriptionIdentifiers(t *testing.T) {
	b, _ := MustServe(t)
	p, _ := mustOpen(t, b, v5, "c", clean)
	p.mustPublish(t, v5, retain, "q/x", "kept")
	for i, filter := range []string{"q/x", "q/+", "+/x"} {
		p.send(t, subscribe, ids(1), listOf(binary.AppendUvarint([]byte{0x0b}, uint64(i)*1000+2)), text(filter), []byte{0})
		p.expect(t, suback)
		if m := p.expectPublish(t, v5); !cmp.Equal(m.ids, []int{i*1000 + 2}) {
			t.Errorf("%s: retained with %v", filter, m.ids)
		}
	}
	p.mustSubscribe(t, v5, 2, "#", 0)
	p.expectPublish(t, v5)
	p.send(t, qos0, text("q/x"), []byte{0}, []byte("live"))
	m := p.expectPublish(t, v5)
	got := map[int]bool{}
	for _, id := range m.ids {
		got[id] = true
	}
	if diff := cmp.Diff(map[int]bool{2: true, 1002: true, 2002: true}, got); diff != "" {
		t.Errorf("identifiers (-want +got):\n%s", diff)
	}
	p.send(t, subscribe, ids(1), listOf([]byte{0x0b, 0}), text("q/x"), []byte{0})
	if got := p.expect(t, disconnect); got[0] != 0x82 {
		t.Errorf("DISCONNECT %#x", got[0])
	}
}

// 3.3.2.3.4: aliases of topics, from clients [MQTT-3.3.2-8] to [MQTT-3.3.2-11]
// and to them, no more than they asked for.
func TestStandard5_TopicAlias(t *testing.T) {
	b, _ := MustServe(t)
	p, _ := mustOpen(t, b, v5, "c", clean, short(0x22, 1)...)
	p.mustSubscribe(t, v5, 1, "q/#", 2)
	sender, _ := mustOpen(t, b, v5, "sender", clean)
	sender.send(t, qos0, text("q/first"), listOf(short(0x23, 7)), []byte("1"))
	sender.send(t, qos1, text(""), ids(1), listOf(short(0x23, 7)), []byte("2"))
	sender.expect(t, puback)
	sender.send(t, qos0, text("q/second"), listOf(short(0x23, 7)), []byte("3"))
	sender.send(t, qos0, text(""), listOf(short(0x23, 7)), []byte("4"))
	sender.send(t, qos0, text("q/first"), []byte{0}, []byte("5"))
	for i, want := range []struct {
		topic string
		alias uint32
	}{{"q/first", 1}, {"", 1}, {"q/second", 0}, {"q/second", 0}, {"", 1}} {
		m := p.expectPublish(t, v5)
		if m.topic != want.topic || m.numbers[0x23] != want.alias || m.payload != fmt.Sprint(i+1) {
			t.Errorf("message %d: %q, alias %d, %s", i+1, m.topic, m.numbers[0x23], m.payload)
		}
	}
	sender.send(t, qos0, text(""), listOf(short(0x23, 8)))
	if got := sender.expect(t, disconnect); got[0] != 0x94 {
		t.Errorf("an unknown alias: DISCONNECT %#x", got[0])
	}
	sender, _ = mustOpen(t, b, v5, "sender", clean)
	sender.send(t, qos0, text("q"), listOf(short(0x23, 0)))
	if got := sender.expect(t, disconnect); got[0] != 0x94 {
		t.Errorf("alias 0: DISCONNECT %#x", got[0])
	}
}

// 3.1.2.11.4: no packet is larger than the client wants [MQTT-3.1.2-24]; a
// message that would be is as if it were delivered [MQTT-3.1.2-25].
func TestStandard5_MaximumPacketSize(t *testing.T) {
	b, _ := MustServe(t)
	p, _ := mustOpen(t, b, v5, "c", clean, long(0x27, 64)...)
	p.mustSubscribe(t, v5, 1, "q", 1)
	sender, _ := mustOpen(t, b, v5, "sender", clean)
	for _, n := range []int{10, 64, 300, 11} {
		sender.mustPublish(t, v5, 1<<1, "q", string(make([]byte, n)))
	}
	for _, n := range []int{10, 11} {
		if m := p.expectPublish(t, v5); len(m.payload) != n {
			t.Errorf("%d bytes, want %d", len(m.payload), n)
		}
	}
	p.expectNothing(t)
}

// 4.12: there is no method of authentication [MQTT-4.12.0-1], [MQTT-4.12.0-6].
func TestStandard5_Auth(t *testing.T) {
	b, _ := MustServe(t)
	p := mustDial(t, b)
	p.send(t, 0x10, connect(v5, "c", clean, texts(0x15, "SCRAM")...))
	if ack := p.expect(t, connack); ack[1] != 0x8c {
		t.Errorf("CONNACK %#x", ack[1])
	}
	p.expectClosed(t)
	p, _ = mustOpen(t, b, v5, "c", clean)
	p.send(t, 0xf0, []byte{0x18}, listOf(texts(0x15, "SCRAM")))
	if got := p.expect(t, disconnect); got[0] != 0x82 {
		t.Errorf("DISCONNECT %#x", got[0])
	}
}

// 4.13: what can't be read ends the connection with a reason [MQTT-4.13.1-1].
func TestStandard5_Malformed(t *testing.T) {
	b, _ := MustServe(t)
	for name, packet := range map[string][]byte{
		"an unknown property":      append([]byte{qos0}, append(text("x"), 2, 0x7f, 0)...),
		"a property of others":     append([]byte{qos0}, append(text("x"), 3, 0x21, 0, 1)...),
		"a topic that is no UTF-8": {qos0, 0, 1, 0xff, 0},
		"a length too long":        append([]byte{qos0}, 0, 9, 'x'),
	} {
		p, _ := mustOpen(t, b, v5, "c", clean)
		p.send(t, packet[0], packet[1:])
		if header, got, err := p.read(); err != nil || header != disconnect || got[0] < 0x80 {
			t.Errorf("%s: %#x % x, %v", name, header, got, err)
		}
		p.expectClosed(t)
	}
}

// A PUBREC that refuses a message ends it [MQTT-4.3.3-4]: nothing follows, and
// its place in the Receive Maximum is free.
func TestStandard5_PubrecRefuses(t *testing.T) {
	b, _ := MustServe(t)
	p, _ := mustOpen(t, b, v5, "c", clean, short(0x21, 1)...)
	p.mustSubscribe(t, v5, 1, "q", 2)
	sender, _ := mustOpen(t, b, v5, "sender", clean)
	sender.mustPublish(t, v5, 2<<1, "q", "1")
	sender.mustPublish(t, v5, 2<<1, "q", "2")
	m := p.expectUnacked(t, v5)
	p.expectNothing(t)
	p.send(t, pubrec, ids(m.id), []byte{0x97})
	if m := p.expectPublish(t, v5); m.payload != "2" {
		t.Errorf("%q", m.payload)
	}
	p.expectNothing(t)
	p.send(t, pubrec, ids(999)) // of nothing: PUBREL says so
	if got := p.expect(t, pubrel); !bytes.HasPrefix(got, append(ids(999), 0x92)) {
		t.Errorf("PUBREL % x", got)
	}
}
