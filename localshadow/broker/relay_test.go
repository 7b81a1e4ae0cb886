package broker_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"edgeshadow/localshadow/broker"
	"edgeshadow/test/shadowtest"
)

// journal is a relay that takes what is below "up/", and acknowledges when it
// is told to.
type journal struct {
	release chan struct{}
	taken   chan string
}

func (j *journal) Take(_ context.Context, m broker.Message, acked func()) bool {
	if !strings.HasPrefix(m.Topic, "up/") {
		return false
	}
	j.taken <- fmt.Sprintf("%s %s %d %v", m.Topic, m.Payload, m.QoS, m.Retain)
	go func() {
		<-j.release
		acked()
	}()
	return true
}

func mustRelay(t *testing.T) (*broker.Broker, *journal) {
	j := &journal{make(chan struct{}), make(chan string, 64)}
	return mustRun(t, loopback(), shadowtest.MustOpenService(t, nil), nil, func(b *broker.Broker) { b.Relay = j }), j
}

// A relayed message goes to its subscribers at once, and is acknowledged when
// the relay has it, while the client goes on.
func TestBroker_PubackWaitsForTheRelay(t *testing.T) {
	for _, version := range []byte{v3, v5} {
		t.Run(fmt.Sprint(version), func(t *testing.T) {
			b, j := mustRelay(t)
			watch := mustConnect(t, b, "watch")
			watch.mustSubscribe(t, "up/#")
			p, _ := mustOpen(t, b, version, "c", clean)
			properties := make([]byte, version-v3)
			p.send(t, qos1, text("up/a"), []byte{0, 7}, properties, []byte("x"))
			p.send(t, qos2, text("up/b"), []byte{0, 8}, properties, []byte("y"))
			p.send(t, qos1, text("down/a"), []byte{0, 9}, properties, []byte("z"))
			if ack := p.expect(t, puback); ack[1] != 9 {
				t.Fatalf("PUBACK of %d before the relay had it", ack[1])
			}
			for _, want := range []string{"x", "y"} {
				if m := watch.next(t); string(m.Payload()) != want || m.Qos() != 1 {
					t.Errorf("subscriber got %s at QoS %d, want %s", m.Payload(), m.Qos(), want)
				}
			}
			p.expectNothing(t)
			close(j.release)
			got := map[byte]byte{}
			for range 2 {
				header, body, err := p.read()
				if err != nil {
					t.Fatal(err)
				}
				got[body[1]] = header
			}
			if diff := cmp.Diff(map[byte]byte{7: puback, 8: pubrec}, got); diff != "" {
				t.Errorf("acknowledgements (-want +got):\n%s", diff)
			}
			p.send(t, pubrel, []byte{0, 8})
			p.expect(t, pubcomp)
			if diff := cmp.Diff([]string{"up/a x 1 false", "up/b y 2 false"}, []string{<-j.taken, <-j.taken}); diff != "" {
				t.Errorf("taken (-want +got):\n%s", diff)
			}
		})
	}
}

// A retained message is kept here too, a last will is relayed, and what the
// gateway itself sends is not.
func TestBroker_RelayRetainedAndWill(t *testing.T) {
	b, j := mustRelay(t)
	close(j.release)
	p := mustDial(t, b)
	p.send(t, 0x10, connect(v3, "c", clean|4), text("up/will"), text("gone"))
	p.expect(t, connack)
	p.send(t, qos1|retain, text("up/r"), []byte{0, 1}, []byte("kept"))
	p.expect(t, puback)
	_ = p.Close()
	for _, want := range []string{"up/r kept 1 true", "up/will gone 0 false"} {
		if got := <-j.taken; got != want {
			t.Errorf("taken %q, want %q", got, want)
		}
	}
	kept := make(chan struct{})
	b.Send(broker.Message{Topic: "up/own", Payload: []byte("own"), QoS: 1, Retain: true}, func() { close(kept) })
	<-kept
	c := mustConnect(t, b, "late")
	c.mustSubscribe(t, "up/#")
	got := map[string]string{}
	for range 2 {
		m := c.next(t)
		got[m.Topic()] = fmt.Sprintf("%s %v", m.Payload(), m.Retained())
	}
	if diff := cmp.Diff(map[string]string{"up/r": "kept true", "up/own": "own true"}, got); diff != "" {
		t.Errorf("retained (-want +got):\n%s", diff)
	}
	if len(j.taken) > 0 {
		t.Errorf("taken too: %s", <-j.taken)
	}
}
