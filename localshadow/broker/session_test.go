package broker_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"sync"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"edgeshadow/localshadow/broker"
	"edgeshadow/localshadow/shadow"
)

func keep(o *mqtt.ClientOptions) { o.SetCleanSession(false) }

// awaitStats waits until the numbers are as wanted.
func awaitStats(tb testing.TB, b *broker.Broker, want string, ok func(broker.Stats) bool) {
	tb.Helper()
	deadline, tick := time.After(patience), time.NewTicker(10*time.Millisecond)
	defer tick.Stop()
	for !ok(b.Stats()) {
		select {
		case <-tick.C:
		case <-deadline:
			tb.Fatalf("never %s: %+v", want, b.Stats())
		}
	}
}

// Messages that wait for a client come in their order [MQTT-4.6.0-6], before
// those that come when it is back, however often the packet ids began anew.
func TestBroker_SessionOrder(t *testing.T) {
	b, _ := MustServe(t)
	c := mustConnect(t, b, "sleeper", keep)
	c.mustSubscribe(t, "q/#")
	c.Disconnect(50)
	sender := mustConnect(t, b, "sender")
	const n = 300
	for i := range n {
		sender.mustPublish(t, "q/x", 1, fmt.Sprint(i))
	}
	var more sync.WaitGroup
	more.Go(func() {
		for i := range n {
			sender.mustPublish(t, "q/x", 1, fmt.Sprint(n+i))
		}
	})
	defer more.Wait()
	again := mustConnect(t, b, "sleeper", keep)
	last := -1
	for last < 2*n-1 {
		var got int
		_, _ = fmt.Sscan(string(again.next(t).Payload()), &got)
		if got > last+1 {
			t.Fatalf("message %d came after %d", got, last)
		}
		last = max(last, got) // one may come twice [MQTT-4.3.2]
	}
}

// A session whose messages exceed the write buffer reaches a client that takes
// them slowly.
func TestBroker_SessionLongerThanTheBuffer(t *testing.T) {
	b, _ := MustServe(t)
	p, _ := mustOpen(t, b, v3, "sleeper", 0)
	p.mustSubscribe(t, v3, 1, "q/#", 1)
	p.send(t, disconnect)
	p.expectClosed(t)
	sender := mustConnect(t, b, "sender")
	payload := make([]byte, 32<<10)
	const n = 400 // 12.5 MiB
	for i := range n {
		binary.BigEndian.PutUint32(payload, uint32(i))
		sender.mustPublish(t, "q/x", 1, payload)
	}
	p, present := mustOpen(t, b, v3, "sleeper", 0)
	if !present {
		t.Fatal("no session")
	}
	for i := range n {
		id, got := p.expectMessage(t, qos1, "q/x") // none was sent before [MQTT-3.3.1-1]
		if binary.BigEndian.Uint32([]byte(got)) != uint32(i) {
			t.Fatalf("message %d is number %d", i, binary.BigEndian.Uint32([]byte(got)))
		}
		p.send(t, puback, ids(id))
	}
	if s := b.Stats(); s.Slow != 0 || s.Dropped != 0 {
		t.Errorf("%+v", s)
	}
}

// A clean session ends with its connection [MQTT-3.1.2-6]: nothing waits, and
// its subscriptions are gone.
func TestBroker_CleanSession(t *testing.T) {
	b, _ := MustServe(t)
	p, _ := mustOpen(t, b, v3, "c", 0)
	p.mustSubscribe(t, v3, 1, "q/#", 1)
	_ = p.Close()
	p, present := mustOpen(t, b, v3, "c", clean)
	if present { // [MQTT-3.2.2-1]
		t.Error("a session is present")
	}
	sender := mustConnect(t, b, "sender")
	sender.mustPublish(t, "q/x", 1, "x")
	p.expectNothing(t)
	if n := b.Stats().Subscriptions; n != 0 {
		t.Errorf("%d subscriptions", n)
	}
}

// A session of MQTT 5 that expired leaves no subscription behind.
func TestBroker_SessionExpires(t *testing.T) {
	b, _ := MustServe(t)
	p, _ := mustOpen(t, b, v5, "c", clean, 0x11, 0, 0, 0, 1)
	p.mustSubscribe(t, v5, 1, "q/#", 1)
	_ = p.Close()
	awaitStats(t, b, "without subscriptions", func(s broker.Stats) bool { return s.Subscriptions == 0 })
	if _, present := mustOpen(t, b, v5, "c", 0); present {
		t.Error("the session is still there")
	}
}

// The second connection with a client id ends the first [MQTT-3.1.4-2], whose
// will is sent; MQTT 5 is told why.
func TestBroker_Takeover(t *testing.T) {
	b, _ := MustServe(t)
	watch := mustConnect(t, b, "watch")
	watch.mustSubscribe(t, "will/#")
	first := mustDial(t, b)
	first.send(t, 0x10, connect(v5, "c", clean|4), []byte{0}, text("will/c"), text("gone"))
	first.expect(t, connack)
	second, _ := mustOpen(t, b, v3, "c", clean)
	if got := first.expect(t, disconnect); got[0] != 0x8e {
		t.Errorf("DISCONNECT %#x", got[0])
	}
	first.expectClosed(t)
	second.expectNothing(t)
	if m := watch.next(t); string(m.Payload()) != "gone" {
		t.Errorf("will %s", m.Payload())
	}
}

// However many connections race for a client id, one keeps it and works.
func TestBroker_TakeoverRace(t *testing.T) {
	b, _ := MustServe(t)
	sender := mustConnect(t, b, "sender")
	for round := range 10 {
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				p := mustDial(t, b)
				p.send(t, 0x10, connect(v3, "c", clean))
				if header, _, err := p.read(); err == nil && header == connack {
					_, _ = p.Write([]byte{subscribe, 8, 0, 1, 0, 3, 'q', '/', '#', 0})
				}
				if round%2 == 0 {
					_ = p.Close()
				}
			})
		}
		wg.Wait()
		p, _ := mustOpen(t, b, v3, "c", clean)
		p.mustSubscribe(t, v3, 1, "q/#", 0)
		awaitStats(t, b, "alone", func(s broker.Stats) bool { return s.Clients == 2 && s.Subscriptions == 1 })
		sender.mustPublish(t, "q/x", 1, fmt.Sprint(round))
		if _, got := p.expectMessage(t, qos0, "q/x"); got != fmt.Sprint(round) {
			t.Errorf("round %d: %s", round, got)
		}
		p.expectNothing(t)
		_ = p.Close()
		awaitStats(t, b, "empty", func(s broker.Stats) bool { return s.Clients == 1 && s.Subscriptions == 0 })
	}
}

// A will is sent when the connection breaks [MQTT-3.1.2-8], not after a
// DISCONNECT [MQTT-3.1.2-10]. One to a shadow topic reaches subscribers and is
// no shadow update (SHADOW 16). It may be empty.
func TestBroker_Will(t *testing.T) {
	b, service := MustServe(t)
	watch := mustConnect(t, b, "watch")
	watch.mustSubscribe(t, "#", lamp+"/#")
	for _, row := range []struct {
		topic, payload string
		says           bool // goodbye
	}{
		{"will/x", "never", true},
		{"will/x", "gone", false},
		{"will/x", "", false},
		{lamp + "/update", `{"state":{"reported":{"gone":true}}}`, false},
	} {
		p := mustDial(t, b)
		p.send(t, 0x10, connect(v3, "lamp", clean|4), text(row.topic), text(row.payload))
		if ack := p.expect(t, connack); ack[1] != 0 {
			t.Fatalf("%s: CONNACK %d", row.topic, ack[1])
		}
		if row.says {
			p.send(t, disconnect)
			p.expectClosed(t)
			continue
		}
		_ = p.Close()
		if m := watch.next(t); m.Topic() != row.topic || string(m.Payload()) != row.payload {
			t.Errorf("%s %q, want %s %q", m.Topic(), m.Payload(), row.topic, row.payload)
		}
	}
	if d, _ := service.Document(shadow.ID{Thing: "lamp"}); d != nil {
		t.Errorf("the will became a shadow: %v", d)
	}
}

func TestBroker_WillRefused(t *testing.T) {
	b, _ := MustServe(t)
	const willRetain = 0x20
	for _, row := range []struct {
		topic  string
		flags  byte
		v3, v5 byte
	}{
		{lamp + "/update/accepted", 0, 5, 0x87},
		{"$aws/rules/r/x", 0, 5, 0x87},
		{lamp + "/update", willRetain, 5, 0x87},
		{"a/#", 0, 5, 0x90},
	} {
		p := mustDial(t, b)
		p.send(t, 0x10, connect(v3, "c", clean|4|row.flags), text(row.topic), text("x"))
		if ack := p.expect(t, connack); ack[1] != row.v3 {
			t.Errorf("%s: CONNACK %#x", row.topic, ack[1])
		}
		p.expectClosed(t)
		p = mustDial(t, b)
		p.send(t, 0x10, connect(v5, "c", clean|4|row.flags), []byte{0}, text(row.topic), text("x"))
		if ack := p.expect(t, connack); ack[1] != row.v5 {
			t.Errorf("%s: CONNACK %#x in MQTT 5", row.topic, ack[1])
		}
		p.expectClosed(t)
	}
}

// What a keep-alive may be is told to MQTT 5 [MQTT-3.2.2-21].
func TestBroker_KeepAlive(t *testing.T) {
	b, _ := MustServe(t)
	for asked, want := range map[uint16]bool{0: true, 30: false, 1200: false, 1201: true} {
		p := mustDial(t, b)
		p.send(t, 0x10, text("MQTT"), []byte{v5, clean}, ids(asked), []byte{0}, text("c"))
		ack := p.expect(t, connack)
		if got := bytes.Contains(ack, []byte{0x13, 1200 >> 8, 1200 & 0xff}); got != want {
			t.Errorf("keep-alive %d: 1200 announced: %v", asked, got)
		}
	}
}

func TestBroker_ClientIDs(t *testing.T) {
	b, _ := MustServe(t)
	long := string(bytes.Repeat([]byte("x"), 129))
	for id, want := range map[string][2]byte{"inline": {2, 0x85}, "$x": {2, 0x85}, long: {2, 0x85}, "": {}, "fine": {}, "a/+/#": {}, long[1:]: {}} {
		for i, version := range []byte{v3, v5} {
			p := mustDial(t, b)
			p.send(t, 0x10, connect(version, id, clean))
			if ack := p.expect(t, connack); ack[1] != want[i] {
				t.Errorf("client id %.20q: CONNACK %#x, want %#x", id, ack[1], want[i])
			}
		}
	}
	if n := b.Stats().Refused; n != 6 {
		t.Errorf("%d refused", n)
	}
}

// A message that is retained waits for subscribers [MQTT-3.3.1-6]; an empty one
// takes it back [MQTT-3.3.1-10].
func TestBroker_Retained(t *testing.T) {
	b, _ := MustServe(t)
	p, _ := mustOpen(t, b, v3, "c", clean)
	p.send(t, qos1|retain, text("r/x"), ids(1), []byte("kept"))
	p.expect(t, puback)
	p.mustSubscribe(t, v3, 1, "r/#", 0)
	if _, got := p.expectMessage(t, qos0|retain, "r/x"); got != "kept" {
		t.Errorf("retained %q", got)
	}
	p.send(t, qos1|retain, text("r/x"), ids(1))
	p.expectMessage(t, qos0, "r/x")
	p.expect(t, puback)
	p.mustSubscribe(t, v3, 2, "r/+", 0)
	p.expectNothing(t)
}
