package broker_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"edgeshadow/localshadow/shadow"
)

func TestBroker_Shadow(t *testing.T) {
	b, _ := MustServe(t)
	c := mustConnect(t, b, "lamp")
	c.mustSubscribe(t, lamp+"/update/+", lamp+"/get/+")
	c.mustPublish(t, lamp+"/update", 1, `{"state":{"desired":{"on":true}},"clientToken":"t1"}`)
	got := []string{c.next(t).Topic(), c.next(t).Topic(), c.next(t).Topic()}
	want := []string{lamp + "/update/delta", lamp + "/update/documents", lamp + "/update/accepted"} // P4
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("answers (-want +got):\n%s", diff)
	}
	c.mustPublish(t, lamp+"/get", 0, "")
	if doc := c.nextOn(t, lamp+"/get/accepted"); !strings.HasPrefix(doc, `{"state":{"desired":{"on":true},"delta":{"on":true}},"metadata":`) {
		t.Errorf("get: %s", doc)
	}
}

// The PUBACK of a shadow request is sent when the service says that the change
// is durable, and the client goes on meanwhile.
func TestBroker_PubackWaitsForTheDisk(t *testing.T) {
	for _, version := range []byte{v3, v5} {
		t.Run(fmt.Sprint(version), func(t *testing.T) {
			service := newHeld()
			b := MustRun(t, loopback(), service, nil)
			p, _ := mustOpen(t, b, version, "lamp", clean)
			properties := make([]byte, version-v3) // an empty list, in MQTT 5
			p.send(t, qos1, text(lamp+"/update"), []byte{0, 7}, properties, []byte("{}"))
			p.send(t, qos1, text("dt/lamp"), []byte{0, 8}, properties, []byte("x"))
			if ack := p.expect(t, puback); ack[1] != 8 {
				t.Fatalf("PUBACK of %d before the change was durable", ack[1])
			}
			p.expectNothing(t)
			close(service.release)
			if ack := p.expect(t, puback); ack[1] != 7 {
				t.Errorf("PUBACK of %d, want 7", ack[1])
			}
			if got, want := <-service.requests, "lamp update {}"; got != want {
				t.Errorf("request %q, want %q", got, want)
			}
		})
	}
}

// A subscription holds when SUBACK is sent: a client that asks in the same
// breath gets the answer (SHADOW 26).
func TestBroker_SubscribeThenAsk(t *testing.T) {
	b, _ := MustServe(t)
	for i := range 20 {
		p, _ := mustOpen(t, b, v3, fmt.Sprint("c", i), clean)
		p.send(t, subscribe, []byte{0, 1}, text(lamp+"/get/+"), []byte{0})
		p.send(t, qos0, text(lamp+"/get"))
		p.expect(t, suback)
		if _, got := p.expectMessage(t, qos0, lamp+"/get/rejected"); got != `{"code":404,"message":"No shadow exists with name: 'lamp'"}` {
			t.Fatalf("get: %s", got)
		}
	}
}

// Who subscribes to the request topics sees the requests too (SHADOW 16), at
// their QoS; who asked for no messages of its own does not [MQTT-3.8.3-3].
func TestBroker_RequestsAreSeen(t *testing.T) {
	b, _ := MustServe(t)
	watch := mustConnect(t, b, "watch")
	watch.mustSubscribe(t, lamp+"/#")
	p, _ := mustOpen(t, b, v5, "lamp", clean)
	const noLocal = 4
	if code := p.mustSubscribe(t, v5, 1, lamp+"/update", noLocal|1); code != 1 {
		t.Fatalf("SUBACK %#x", code)
	}
	p.send(t, qos1, text(lamp+"/update"), []byte{0, 2, 0}, []byte(`{"state":{}}`))
	p.expect(t, puback)
	p.expectNothing(t)
	if m := watch.next(t); m.Topic() != lamp+"/update" || m.Qos() != 1 || string(m.Payload()) != `{"state":{}}` {
		t.Errorf("first %s at QoS %d: %s", m.Topic(), m.Qos(), m.Payload())
	}
	watch.nextOn(t, lamp+"/update/accepted")
}

// Each client gets the PUBACKs of its own packet ids and the answers to its own
// requests, all at once and pipelined.
func TestBroker_ClientsAreNotMixedUp(t *testing.T) {
	b, service := MustServe(t)
	const clients, updates = 16, 40
	var wg sync.WaitGroup
	for i := range clients {
		thing := fmt.Sprint("thing", i)
		topic := shadow.ID{Thing: thing}.Topic("update")
		p, _ := mustOpen(t, b, v3, thing, clean)
		if code := p.mustSubscribe(t, v3, 200, topic+"/accepted", 0); code != 0 {
			t.Fatalf("SUBACK %#x", code)
		}
		wg.Go(func() {
			for n := range updates {
				p.send(t, qos1, text(topic), []byte{byte(i), byte(n + 1)}, fmt.Appendf(nil, `{"state":{"reported":{"n":%d}},"clientToken":"%s-%d"}`, n, thing, n))
			}
			for acked, answered := 0, 0; acked < updates || answered < updates; {
				header, body, err := p.read()
				switch {
				case err != nil:
					t.Errorf("%s: %v", thing, err)
					return
				case header == puback:
					if body[0] != byte(i) || body[1] != byte(acked+1) {
						t.Errorf("%s: PUBACK % x, want number %d", thing, body, acked+1)
					}
					acked++
				case !strings.Contains(string(body), fmt.Sprintf(`"clientToken":"%s-%d"`, thing, answered)):
					t.Errorf("%s: answer %d: %s", thing, answered, body)
					return
				default:
					answered++
				}
			}
		})
	}
	wg.Wait()
	for i := range clients {
		d, err := service.Document(shadow.ID{Thing: fmt.Sprint("thing", i)})
		if err != nil || d == nil || d.Version != updates {
			t.Errorf("thing%d: %+v, %v", i, d, err)
		}
	}
}

func TestBroker_Stats(t *testing.T) {
	b, _ := MustServe(t)
	c := mustConnect(t, b, "c")
	c.mustSubscribe(t, "dt/#", lamp+"/get/+")
	c.mustPublish(t, "dt/x", 1, "x")
	c.next(t)
	c.mustPublish(t, lamp+"/get", 1, "")
	c.next(t)
	got := b.Stats()
	if got.BytesReceived == 0 || got.BytesSent == 0 {
		t.Errorf("no bytes: %+v", got)
	}
	got.BytesReceived, got.BytesSent = 0, 0
	want := got
	want.Clients, want.Subscriptions, want.Received, want.Sent, want.Refused, want.Violations = 1, 2, 2, 2, 0, 0
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// P6: answers come at QoS 1 at most, at the subscription's when that is lower,
// and are never retained.
func TestBroker_QoSOfAnswers(t *testing.T) {
	b, _ := MustServe(t)
	for qos, header := range map[byte]byte{0: qos0, 1: qos1, 2: qos1} {
		p, _ := mustOpen(t, b, v3, fmt.Sprint("q", qos), clean)
		p.mustSubscribe(t, v3, 1, lamp+"/get/rejected", qos)
		p.send(t, qos0, text(lamp+"/get"))
		p.expectMessage(t, header, lamp+"/get/rejected")
		p.send(t, disconnect)
		p.expectClosed(t)
	}
	late, _ := mustOpen(t, b, v3, "late", clean)
	late.mustSubscribe(t, v3, 1, lamp+"/get/rejected", 1)
	late.expectNothing(t)
}
