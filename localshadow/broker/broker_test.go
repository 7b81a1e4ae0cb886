package broker_test

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"edgeshadow/localshadow"
	"edgeshadow/localshadow/broker"
	"edgeshadow/localshadow/shadow"
	"edgeshadow/test/shadowtest"
)

// patience is how long a test waits for what must come.
const patience = 10 * time.Second

// mustServe runs a broker over a real shadow service on a free port.
func mustServe(tb testing.TB) (*broker.Broker, *localshadow.Service) {
	tb.Helper()
	service := shadowtest.MustOpenService(tb, nil)
	b := mustRun(tb, broker.Config{Listeners: []broker.Listener{{Address: "127.0.0.1:0"}}}, service, nil)
	service.Publisher = b
	return b, service
}

func mustRun(tb testing.TB, cfg broker.Config, shadows broker.Shadows, ca broker.CA) *broker.Broker {
	tb.Helper()
	b := broker.New(cfg, shadows, ca, shadowtest.Log(tb))
	if err := b.Listen(); err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- b.Run(ctx) }()
	tb.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			tb.Error(err)
		}
	})
	return b
}

// client is a paho client that keeps what it receives.
type client struct {
	mqtt.Client
	messages chan mqtt.Message
	lost     chan error
}

func connect(tb testing.TB, b *broker.Broker, id string, more ...func(*mqtt.ClientOptions)) *client {
	tb.Helper()
	c := &client{messages: make(chan mqtt.Message, 4096), lost: make(chan error, 1)}
	o := mqtt.NewClientOptions().AddBroker("tcp://" + b.Addrs()[0].String()).SetClientID(id).
		SetAutoReconnect(false).SetConnectTimeout(patience).
		SetDefaultPublishHandler(func(_ mqtt.Client, m mqtt.Message) { c.messages <- m }).
		SetConnectionLostHandler(func(_ mqtt.Client, err error) { c.lost <- err })
	for _, f := range more {
		f(o)
	}
	c.Client = mqtt.NewClient(o)
	await(tb, c.Connect())
	tb.Cleanup(func() { c.Disconnect(0) })
	return c
}

func await(tb testing.TB, token mqtt.Token) {
	tb.Helper()
	if !token.WaitTimeout(patience) {
		tb.Fatal("no answer of the broker")
	}
	if err := token.Error(); err != nil {
		tb.Fatal(err)
	}
}

func (c *client) subscribe(tb testing.TB, filters ...string) {
	tb.Helper()
	for _, f := range filters {
		await(tb, c.Subscribe(f, 1, nil))
	}
}

// next is the next message on a topic; others before it are skipped.
func (c *client) next(tb testing.TB, topic string) string {
	tb.Helper()
	deadline := time.After(patience)
	for {
		select {
		case m := <-c.messages:
			if m.Topic() == topic {
				return string(m.Payload())
			}
		case <-deadline:
			tb.Fatalf("nothing on %s", topic)
		}
	}
}

func (c *client) awaitLost(tb testing.TB) {
	tb.Helper()
	select {
	case <-c.lost:
	case <-time.After(patience):
		tb.Fatal("the connection is still up")
	}
}

const lamp = "$aws/things/lamp/shadow"

func TestBroker_Shadow(t *testing.T) {
	b, _ := mustServe(t)
	c := connect(t, b, "lamp")
	c.subscribe(t, lamp+"/update/+", lamp+"/get/+")
	await(t, c.Publish(lamp+"/update", 1, false, `{"state":{"desired":{"on":true}},"clientToken":"t1"}`))
	got := []string{(<-c.messages).Topic(), (<-c.messages).Topic(), (<-c.messages).Topic()}
	want := []string{lamp + "/update/delta", lamp + "/update/documents", lamp + "/update/accepted"} // P4
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("answers %v, want %v", got, want)
	}
	await(t, c.Publish(lamp+"/get", 0, false, ""))
	if doc := c.next(t, lamp+"/get/accepted"); !strings.HasPrefix(doc, `{"state":{"desired":{"on":true},"delta":{"on":true}},"metadata":`) {
		t.Errorf("get: %s", doc)
	}
}

// The PUBACK of a shadow request is sent when the service says that it is durable.
func TestBroker_PubackWaitsForTheDisk(t *testing.T) {
	held := &holding{release: make(chan struct{})}
	b := mustRun(t, broker.Config{Listeners: []broker.Listener{{Address: "127.0.0.1:0"}}}, held, nil)
	c := connect(t, b, "lamp")
	update := c.Publish(lamp+"/update", 1, false, `{}`)
	await(t, c.Publish("dt/lamp", 1, false, "x")) // the client goes on meanwhile
	select {
	case <-update.Done():
		t.Fatal("PUBACK before the change was durable")
	default:
	}
	close(held.release)
	await(t, update)
}

type holding struct{ release chan struct{} }

func (h *holding) Handle(_ context.Context, _ shadow.ID, _ string, _ []byte, acked func()) {
	go func() {
		<-h.release
		acked()
	}()
}

func TestBroker_ReservedTopics(t *testing.T) {
	for name, publish := range map[string]func(c *client) mqtt.Token{
		"answer":          func(c *client) mqtt.Token { return c.Publish(lamp+"/update/accepted", 0, false, "{}") },
		"unknown":         func(c *client) mqtt.Token { return c.Publish("$aws/things/lamp/other", 1, false, "{}") },
		"events":          func(c *client) mqtt.Token { return c.Publish("$aws/events/presence/connected/x", 0, false, "{}") },
		"SYS":             func(c *client) mqtt.Token { return c.Publish("$SYS/x", 0, false, "{}") },
		"invalid name":    func(c *client) mqtt.Token { return c.Publish("$aws/things/la mp/shadow/get", 1, false, "") },
		"retained":        func(c *client) mqtt.Token { return c.Publish(lamp+"/update", 1, true, `{"state":{}}`) },
		"retained answer": func(c *client) mqtt.Token { return c.Publish(lamp+"/get/accepted", 0, true, `{}`) },
	} {
		t.Run(name, func(t *testing.T) {
			b, service := mustServe(t)
			other := connect(t, b, "other")
			other.subscribe(t, lamp+"/#")
			c := connect(t, b, "lamp")
			publish(c)
			c.awaitLost(t)
			await(t, other.Publish(lamp+"/get", 1, false, ""))
			if got := other.next(t, lamp+"/get/rejected"); got != `{"code":404,"message":"No shadow exists with name: 'lamp'"}` {
				t.Errorf("get after a refused publish: %s", got)
			}
			if d, err := service.Document(shadow.ID{Thing: "lamp"}); d != nil || err != nil {
				t.Errorf("document %v, %v", d, err)
			}
			if n := b.Stats().Violations; n != 1 {
				t.Errorf("%d violations counted", n)
			}
		})
	}
}

func TestBroker_SubscribeReserved(t *testing.T) {
	b, _ := mustServe(t)
	c := connect(t, b, "c")
	for filter, want := range map[string]byte{
		lamp + "/get/+":                   1,
		lamp + "/get/#":                   1,
		lamp + "/update":                  1,
		"$aws/things/+/shadow/+/accepted": 1,
		"$aws/events/#":                   1,
		"$aws/rules/r/x":                  128,
		"$aws/#":                          128,
		"$other/x":                        128,
		"$share/g/$aws/rules/#":           128,
		"$share/g/dt/#":                   1,
		"#":                               1,
	} {
		token := c.Subscribe(filter, 1, nil)
		if !token.WaitTimeout(patience) {
			t.Fatal("no SUBACK")
		}
		for _, got := range token.(*mqtt.SubscribeToken).Result() { // one; shared ones go by another key
			if got != want {
				t.Errorf("%s: code %d, want %d", filter, got, want)
			}
		}
	}
}

// [MQTT-4.7.2-1]: filters that begin with a wildcard do not match topics that
// begin with $, in shared subscriptions neither.
func TestBroker_WildcardsDoNotSeeReserved(t *testing.T) {
	b, _ := mustServe(t)
	c := connect(t, b, "spy")
	c.subscribe(t, "#", "+/things/#", "$share/g/#")
	lampClient := connect(t, b, "lamp")
	await(t, lampClient.Publish(lamp+"/update", 1, false, `{"state":{"reported":{"on":true}}}`))
	await(t, lampClient.Publish("dt/end", 1, false, "end"))
	for {
		m := <-c.messages
		if strings.HasPrefix(m.Topic(), "$") {
			t.Fatalf("saw %s", m.Topic())
		}
		if m.Topic() == "dt/end" {
			return
		}
	}
}

// A last will to a shadow topic reaches subscribers and is no shadow update.
func TestBroker_Will(t *testing.T) {
	b, service := mustServe(t)
	watch := connect(t, b, "watch")
	watch.subscribe(t, lamp+"/update")
	raw := dial(t, b)
	raw.write(t, connectPacket("lamp", lamp+"/update", `{"state":{"reported":{"gone":true}}}`))
	raw.read(t, 4)
	_ = raw.Close()
	if got := watch.next(t, lamp+"/update"); got != `{"state":{"reported":{"gone":true}}}` {
		t.Errorf("will: %s", got)
	}
	if d, _ := service.Document(shadow.ID{Thing: "lamp"}); d != nil {
		t.Errorf("the will became a shadow: %v", d)
	}
}

// Each client gets the PUBACKs of its own packet ids, and no others.
func TestBroker_PubacksAreNotMixedUp(t *testing.T) {
	b, service := mustServe(t)
	const clients, updates = 8, 40
	var wg sync.WaitGroup
	for i := range clients {
		c := connect(t, b, string(rune('a'+i)))
		topic := "$aws/things/" + string(rune('a'+i)) + "/shadow/update"
		wg.Go(func() {
			var tokens []mqtt.Token
			for range updates {
				tokens = append(tokens, c.Publish(topic, 1, false, `{"state":{"reported":{"n":1}}}`))
			}
			for _, token := range tokens {
				if !token.WaitTimeout(patience) || token.Error() != nil {
					t.Errorf("client %d: no PUBACK: %v", i, token.Error())
					return
				}
			}
		})
	}
	wg.Wait()
	for i := range clients {
		d, err := service.Document(shadow.ID{Thing: string(rune('a' + i))})
		if err != nil || d == nil || d.Version != updates {
			t.Errorf("thing %d: %+v, %v", i, d, err)
		}
	}
}

// One client that reads nothing neither delays the others nor holds its id.
func TestBroker_StalledSubscriber(t *testing.T) {
	b, _ := mustServe(t)
	stalled := dial(t, b)
	stalled.write(t, connectPacket("stalled", "", ""))
	stalled.read(t, 4)
	stalled.write(t, []byte{0x82, 8, 0, 1, 0, 3, 'b', '/', '#', 1})
	stalled.read(t, 5)
	c := connect(t, b, "busy")
	payload := make([]byte, 64<<10)
	for range 300 { // 19 MiB: more than sockets and buffers take
		await(t, c.Publish("b/x", 1, false, payload))
	}
	again := dial(t, b)
	again.write(t, connectPacket("stalled", "", ""))
	if ack := again.read(t, 4); ack[3] != 0 {
		t.Errorf("takeover refused: %v", ack)
	}
}

// A packet that can't be parsed costs its own connection only.
func TestBroker_Garbage(t *testing.T) {
	b, _ := mustServe(t)
	healthy := connect(t, b, "healthy")
	for name, packet := range map[string][]byte{
		"truncated MQTT 5 SUBSCRIBE": {0x82, 2, 0, 1},
		"reserved type":              {0xf0, 0},
		"endless length":             {0x30, 0xff, 0xff, 0xff, 0xff, 0xff},
		"too long":                   append([]byte{0x30}, binary.AppendUvarint(nil, 200<<20)...),
	} {
		t.Run(name, func(t *testing.T) {
			c := dial(t, b)
			c.write(t, connect5("garbage"))
			c.read(t, 4)
			c.write(t, packet)
			_ = c.SetReadDeadline(time.Now().Add(patience))
			if _, err := io.Copy(io.Discard, c); err != nil && !strings.Contains(err.Error(), "reset") {
				t.Errorf("the connection is still up: %v", err)
			}
			await(t, healthy.Publish("dt/x", 1, false, "still here"))
		})
	}
}

func TestBroker_ClientIDs(t *testing.T) {
	b, _ := mustServe(t)
	for id, want := range map[string]byte{"inline": 2, "$x": 2, strings.Repeat("x", 129): 2, "": 0, "fine": 0} {
		c := dial(t, b)
		c.write(t, connectPacket(id, "", ""))
		if ack := c.read(t, 4); ack[3] != want {
			t.Errorf("client id %q: CONNACK %d, want %d", id, ack[3], want)
		}
	}
}

// Messages that wait for a client come in their order.
func TestBroker_OfflineOrder(t *testing.T) {
	b, _ := mustServe(t)
	keep := func(o *mqtt.ClientOptions) { o.SetCleanSession(false) }
	c := connect(t, b, "sleeper", keep)
	c.subscribe(t, "q/#")
	c.Disconnect(50)
	sender := connect(t, b, "sender")
	const n = 200
	for i := range n {
		await(t, sender.Publish("q/x", 1, false, []byte{byte(i)}))
	}
	again := connect(t, b, "sleeper", keep)
	for i := range n {
		select {
		case m := <-again.messages:
			if m.Payload()[0] != byte(i) {
				t.Fatalf("message %d came as number %d", m.Payload()[0], i)
			}
		case <-time.After(patience):
			t.Fatalf("%d of %d arrived", i, n)
		}
	}
}

// raw is a connection without a client library.
type raw struct{ net.Conn }

func dial(tb testing.TB, b *broker.Broker) raw {
	tb.Helper()
	c, err := net.DialTimeout("tcp", b.Addrs()[0].String(), patience)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = c.Close() })
	return raw{c}
}

func (r raw) write(tb testing.TB, p []byte) {
	tb.Helper()
	if _, err := r.Write(p); err != nil {
		tb.Fatal(err)
	}
}

func (r raw) read(tb testing.TB, n int) []byte {
	tb.Helper()
	_ = r.SetReadDeadline(time.Now().Add(patience))
	p := make([]byte, n)
	if _, err := io.ReadFull(r, p); err != nil {
		tb.Fatal(err)
	}
	return p
}

func text(s string) []byte { return append(binary.BigEndian.AppendUint16(nil, uint16(len(s))), s...) }

// connectPacket is an MQTT 3.1.1 CONNECT with a clean session, and a will if
// its topic is not empty.
func connectPacket(id, willTopic, will string) []byte {
	flags := byte(2)
	body := text(id)
	if willTopic != "" {
		flags |= 4
		body = append(append(body, text(willTopic)...), text(will)...)
	}
	head := append(text("MQTT"), 4, flags, 0, 60)
	return packet(0x10, append(head, body...))
}

func connect5(id string) []byte {
	return packet(0x10, append(append(text("MQTT"), 5, 2, 0, 60, 0), text(id)...))
}

func packet(kind byte, body []byte) []byte {
	return append(binary.AppendUvarint([]byte{kind}, uint64(len(body))), body...)
}
