package broker_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"testing"

	"edgeshadow/localshadow/broker"
)

// ids is a packet id on the wire.
func ids(id uint16) []byte { return binary.BigEndian.AppendUint16(nil, id) }

// A delivery that a client has not acknowledged shares its id with a SUBSCRIBE
// and an UNSUBSCRIBE of the client: the two directions have ids of their own
// [MQTT-2.3.1-4].
func TestBroker_IDs_Subscribe(t *testing.T) {
	b, _ := MustServe(t)
	p, _ := mustOpen(t, b, v3, "c", clean)
	p.mustSubscribe(t, v3, 1, "q/#", 1)
	sender := mustConnect(t, b, "sender")
	sender.mustPublish(t, "q/x", 1, "1")
	id, _ := p.expectMessage(t, qos1, "q/x")
	if code := p.mustSubscribe(t, v3, byte(id), "r/#", 1); code != 1 {
		t.Errorf("SUBACK %#x", code)
	}
	p.send(t, unsubscribe, ids(id), text("q/#"))
	if got := p.expect(t, unsuback); !bytes.Equal(got, ids(id)) {
		t.Errorf("UNSUBACK of % x", got)
	}
	sender.mustPublish(t, "q/x", 1, "2")
	p.expectNothing(t)
}

// A PUBLISH with the id of a delivery that is not acknowledged leaves the
// delivery in flight: it is repeated after a reconnect [MQTT-4.4.0-1], with DUP
// [MQTT-3.3.1-1].
func TestBroker_IDs_Publish(t *testing.T) {
	for qos, header := range map[byte]byte{1: qos1, 2: qos2} {
		t.Run(fmt.Sprint(qos), func(t *testing.T) {
			b, _ := MustServe(t)
			p, _ := mustOpen(t, b, v3, "c", 0)
			p.mustSubscribe(t, v3, 1, "q/#", 1)
			sender := mustConnect(t, b, "sender")
			sender.mustPublish(t, "q/x", 1, "waiting")
			id, _ := p.expectMessage(t, qos1, "q/x")
			for _, topic := range []string{"dt/x", lamp + "/get"} {
				p.send(t, header, text(topic), ids(id))
				if qos == 1 {
					p.expect(t, puback)
					continue
				}
				p.expect(t, pubrec)
				p.send(t, pubrel, ids(id))
				p.expect(t, pubcomp)
			}
			_ = p.Close()
			p, present := mustOpen(t, b, v3, "c", 0)
			if !present {
				t.Error("no session")
			}
			if again, got := p.expectMessage(t, qos1|dup, "q/x"); again != id || got != "waiting" {
				t.Errorf("delivery %d: %s", again, got)
			}
			p.send(t, puback, ids(id))
			p.expectNothing(t)
		})
	}
}

// QoS 2 from a client: a repeated PUBLISH is acknowledged again and delivered
// once [MQTT-4.3.3-2], also after a reconnect.
func TestBroker_QoS2_In(t *testing.T) {
	for _, version := range []byte{v3, v5} {
		t.Run(fmt.Sprint(version), func(t *testing.T) {
			b, _ := MustServe(t)
			watch := mustConnect(t, b, "watch")
			watch.mustSubscribe(t, "q/#")
			expiry := []byte{0x11, 0, 0, 1, 0} // of the session, in MQTT 5
			p, _ := mustOpen(t, b, version, "c", 0, expiry...)
			none := make([]byte, version-v3)
			p.send(t, qos2, text("q/x"), ids(9), none, []byte("once"))
			p.expect(t, pubrec)
			p.send(t, qos2|dup, text("q/x"), ids(9), none, []byte("once"))
			if got := p.expect(t, pubrec); !bytes.Equal(got, ids(9)) {
				t.Errorf("second PUBREC % x", got)
			}
			_ = p.Close()

			p, _ = mustOpen(t, b, version, "c", 0, expiry...)
			p.send(t, qos2|dup, text("q/x"), ids(9), none, []byte("once"))
			if got := p.expect(t, pubrec); !bytes.Equal(got, ids(9)) {
				t.Errorf("PUBREC after the reconnect % x", got)
			}
			p.send(t, pubrel, ids(9))
			if got := p.expect(t, pubcomp); !bytes.Equal(got, ids(9)) {
				t.Errorf("PUBCOMP % x", got)
			}
			p.send(t, qos2, text("q/x"), ids(9), none, []byte("twice")) // the id is free again
			p.expect(t, pubrec)
			p.send(t, pubrel, ids(9))
			p.expect(t, pubcomp)
			for _, want := range []string{"once", "twice"} {
				if got := string(watch.next(t).Payload()); got != want {
					t.Errorf("delivered %q, want %q", got, want)
				}
			}
		})
	}
}

// A PUBREL that belongs to nothing is answered, and MQTT 5 says so (3.7.2.1).
func TestBroker_QoS2_UnknownPubrel(t *testing.T) {
	b, _ := MustServe(t)
	p, _ := mustOpen(t, b, v5, "c", clean)
	p.send(t, pubrel, ids(5))
	if got := p.expect(t, pubcomp); !bytes.HasPrefix(got, []byte{0, 5, 0x92}) {
		t.Errorf("PUBCOMP % x", got)
	}
}

// A shadow request of QoS 2 is asked of the service once; its PUBREC means that
// it is durable, and goes to the connection that asked last.
func TestBroker_QoS2_Shadow(t *testing.T) {
	service := newHeld()
	b := MustRun(t, loopback(), service, nil)
	p, _ := mustOpen(t, b, v3, "c", 0)
	p.send(t, qos2, text(lamp+"/update"), ids(3), []byte("{}"))
	p.expectNothing(t)
	_ = p.Close()
	p, _ = mustOpen(t, b, v3, "c", 0)
	p.send(t, qos2|dup, text(lamp+"/update"), ids(3), []byte("{}"))
	p.expectNothing(t)
	close(service.release)
	if got := p.expect(t, pubrec); !bytes.Equal(got, ids(3)) {
		t.Errorf("PUBREC % x", got)
	}
	p.send(t, pubrel, ids(3))
	p.expect(t, pubcomp)
	if n := len(service.requests); n != 1 {
		t.Errorf("%d requests", n)
	}
}

// QoS 2 to a client [MQTT-4.3.3-1]: what is not completed goes on after a reconnect.
func TestBroker_QoS2_Out(t *testing.T) {
	b, _ := MustServe(t)
	p, _ := mustOpen(t, b, v3, "c", 0)
	p.mustSubscribe(t, v3, 1, "q/#", 2)
	sender := mustConnect(t, b, "sender")
	sender.mustPublish(t, "q/x", 2, "x")
	id, _ := p.expectMessage(t, qos2, "q/x")
	p.send(t, pubrec, ids(id))
	if got := p.expect(t, pubrel); !bytes.Equal(got, ids(id)) {
		t.Errorf("PUBREL % x", got)
	}
	_ = p.Close()
	p, _ = mustOpen(t, b, v3, "c", 0)
	if got := p.expect(t, pubrel); !bytes.Equal(got, ids(id)) { // [MQTT-4.4.0-1]
		t.Errorf("PUBREL after the reconnect % x", got)
	}
	p.send(t, pubcomp, ids(id))
	p.expectNothing(t)
}

// A packet without an id where one belongs [MQTT-2.3.1-1], one that only
// servers send, a second CONNECT [MQTT-3.1.0-2] and QoS 3 [MQTT-3.3.1-4] end
// the connection.
func TestBroker_Violations(t *testing.T) {
	b, _ := MustServe(t)
	for name, packet := range map[string][]byte{
		"PUBLISH without an id":     {qos1, 5, 0, 1, 'x', 0, 0},
		"SUBSCRIBE without an id":   {subscribe, 6, 0, 0, 0, 1, 'x', 0},
		"UNSUBSCRIBE without an id": {unsubscribe, 5, 0, 0, 0, 1, 'x'},
		"SUBSCRIBE of nothing":      {subscribe, 2, 0, 1},
		"CONNACK":                   {connack, 2, 0, 0},
		"SUBACK":                    {suback, 3, 0, 1, 0},
		"PINGRESP":                  {pingresp, 0},
		"QoS 3":                     {0x36, 5, 0, 1, 'x', 0, 1},
		"CONNECT":                   append([]byte{0x10, 13}, connect(v3, "c", clean)...),
	} {
		t.Run(name, func(t *testing.T) {
			p, _ := mustOpen(t, b, v3, "c", clean)
			p.send(t, packet[0], packet[2:])
			p.expectClosed(t)
		})
	}
}

// A topic alias beyond the announced maximum ends the connection with 0x94
// [MQTT-3.3.2-9]; a PUBACK has no user properties of the PUBLISH.
func TestBroker_V5Properties(t *testing.T) {
	b, _ := MustServe(t)
	p, _ := mustOpen(t, b, v5, "c", clean)
	user := append(append([]byte{0x26}, text("k")...), text("v")...)
	p.send(t, qos1, text("dt/x"), ids(1), []byte{byte(len(user))}, user)
	if got := p.expect(t, puback); !bytes.Equal(got, ids(1)) && !bytes.Equal(got, []byte{0, 1, 0x10}) { // no subscribers
		t.Errorf("PUBACK % x", got)
	}
	p.send(t, qos0, text("dt/x"), []byte{3, 0x23, 0, broker.MaxAliases + 1})
	if got := p.expect(t, disconnect); got[0] != 0x94 {
		t.Errorf("DISCONNECT %#x", got[0])
	}
	p.expectClosed(t)
}

// A client of MQTT 5 has no more messages to acknowledge than its Receive
// Maximum [MQTT-3.3.4-9], and gets all in the end.
func TestBroker_V5SmallReceiveMaximum(t *testing.T) {
	b, _ := MustServe(t)
	p, _ := mustOpen(t, b, v5, "c", clean, 0x21, 0, 2)
	p.mustSubscribe(t, v5, 1, "q/#", 1)
	sender := mustConnect(t, b, "sender")
	const n = 30
	for i := range n {
		sender.mustPublish(t, "q/x", 1, fmt.Sprint(i))
	}
	expect := func(i int) {
		want := append(text("q/x"), ids(uint16(i+1))...)
		want = append(append(want, 0), fmt.Sprint(i)...)
		if got := p.expect(t, qos1); !bytes.Equal(got, want) {
			t.Fatalf("message %d: % x, want % x", i, got, want)
		}
	}
	expect(0)
	expect(1)
	for i := range n - 2 {
		p.expectNothing(t)
		p.send(t, puback, ids(uint16(i+1)))
		expect(i + 2)
	}
}

// MQTT 5 bounds the exchanges of QoS 2 by the announced Receive Maximum
// [MQTT-3.3.4-7].
func TestBroker_V5ReceiveMaximum(t *testing.T) {
	b, _ := MustServe(t)
	p, _ := mustOpen(t, b, v5, "c", clean)
	for id := range uint16(200) {
		p.send(t, qos2, text("q"), ids(id+1), []byte{0})
		if header, got, err := p.read(); err != nil || header != pubrec {
			if header != disconnect || got[0] != 0x93 || id < broker.ReceiveMaximum {
				t.Errorf("after %d exchanges: %#x % x, %v", id, header, got, err)
			}
			return
		}
	}
	t.Error("there is no bound")
}
