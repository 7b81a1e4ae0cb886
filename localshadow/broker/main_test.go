package broker_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"edgeshadow/localshadow"
	"edgeshadow/localshadow/broker"
	"edgeshadow/localshadow/shadow"
	"edgeshadow/test/shadowtest"
)

// patience is how long a test waits for what must come.
const patience = 20 * time.Second

const lamp = "$aws/things/lamp/shadow"

// MustServe runs a broker over a real shadow service on a free port.
func MustServe(tb testing.TB) (*broker.Broker, *localshadow.Service) {
	tb.Helper()
	service := shadowtest.MustOpenService(tb, nil)
	b := MustRun(tb, loopback(), service, nil)
	service.Publisher = b
	return b, service
}

func loopback() broker.Config {
	return broker.Config{Listeners: []broker.Listener{{Address: "127.0.0.1:0"}}}
}

// MustRun runs a broker until the test ends. No client may be left then.
func MustRun(tb testing.TB, cfg broker.Config, shadows broker.Shadows, ca broker.CA) *broker.Broker {
	tb.Helper()
	return mustRun(tb, cfg, shadows, ca, func(*broker.Broker) {})
}

// mustRun lets set change the broker before it listens.
func mustRun(tb testing.TB, cfg broker.Config, shadows broker.Shadows, ca broker.CA, set func(*broker.Broker)) *broker.Broker {
	tb.Helper()
	b := broker.New(cfg, shadows, ca, shadowtest.Log(tb))
	set(b)
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
		if n := b.Stats().Clients; n != 0 {
			tb.Errorf("%d clients after the end", n)
		}
	})
	return b
}

// held is a shadow service that acknowledges when it is told to.
type held struct {
	release  chan struct{}
	requests chan string
}

func newHeld() *held {
	return &held{release: make(chan struct{}), requests: make(chan string, 64)}
}

func (h *held) Handle(_ context.Context, id shadow.ID, op string, payload []byte, _ bool, acked func()) {
	h.requests <- id.String() + " " + op + " " + string(payload)
	go func() {
		<-h.release
		acked()
	}()
}

// client is a paho client that keeps what it receives.
type client struct {
	mqtt.Client
	messages chan mqtt.Message
}

func mustConnect(tb testing.TB, b *broker.Broker, id string, more ...func(*mqtt.ClientOptions)) *client {
	tb.Helper()
	c := newClient(b, id, more...)
	await(tb, c.Connect())
	tb.Cleanup(func() { c.Disconnect(0) })
	return c
}

func newClient(b *broker.Broker, id string, more ...func(*mqtt.ClientOptions)) *client {
	c := &client{messages: make(chan mqtt.Message, 4096)}
	o := mqtt.NewClientOptions().AddBroker("tcp://" + b.Addrs()[0].String()).SetClientID(id).
		SetAutoReconnect(false).SetConnectTimeout(patience).
		SetDefaultPublishHandler(func(_ mqtt.Client, m mqtt.Message) { c.messages <- m })
	for _, f := range more {
		f(o)
	}
	c.Client = mqtt.NewClient(o)
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

func (c *client) mustSubscribe(tb testing.TB, filters ...string) {
	tb.Helper()
	for _, f := range filters {
		await(tb, c.Subscribe(f, 1, nil))
	}
}

func (c *client) mustPublish(tb testing.TB, topic string, qos byte, payload any) {
	tb.Helper()
	await(tb, c.Publish(topic, qos, false, payload))
}

// next is the next message.
func (c *client) next(tb testing.TB) mqtt.Message {
	tb.Helper()
	select {
	case m := <-c.messages:
		return m
	case <-time.After(patience):
		tb.Fatal("no message")
		return nil
	}
}

// nextOn is the next message on a topic; others before it are skipped.
func (c *client) nextOn(tb testing.TB, topic string) string {
	tb.Helper()
	for {
		if m := c.next(tb); m.Topic() == topic {
			return string(m.Payload())
		}
	}
}

// peer is a connection without a client library: it sends and expects packets
// byte by byte.
type peer struct {
	net.Conn
	in *bufio.Reader
}

func mustDial(tb testing.TB, b *broker.Broker) *peer {
	tb.Helper()
	c, err := net.DialTimeout("tcp", b.Addrs()[0].String(), patience)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = c.Close() })
	return newPeer(c)
}

func newPeer(c net.Conn) *peer {
	_ = c.SetDeadline(time.Now().Add(patience))
	return &peer{c, bufio.NewReader(c)}
}

// Packet types with their fixed flags, and fields of a CONNECT.
const (
	connack, puback, pubrec, pubrel, pubcomp = 0x20, 0x40, 0x50, 0x62, 0x70
	subscribe, suback, unsubscribe, unsuback = 0x82, 0x90, 0xa2, 0xb0
	pingreq, pingresp, disconnect            = 0xc0, 0xd0, 0xe0
	qos0, qos1, qos2, dup, retain            = 0x30, 0x32, 0x34, 0x08, 0x01

	v3, v5 = 4, 5
	clean  = 2
)

// mustOpen dials and connects; it returns whether a session was present.
func mustOpen(tb testing.TB, b *broker.Broker, version byte, id string, flags byte, properties ...byte) (*peer, bool) {
	tb.Helper()
	p := mustDial(tb, b)
	p.send(tb, 0x10, connect(version, id, flags, properties...))
	ack := p.expect(tb, connack)
	if ack[1] != 0 {
		tb.Fatalf("client %q: CONNACK %#x", id, ack[1])
	}
	return p, ack[0] == 1
}

// connect is the body of a CONNECT; what a will adds follows it.
func connect(version byte, id string, flags byte, properties ...byte) []byte {
	body := append(text("MQTT"), version, flags, 0, 60)
	if version == v5 {
		body = append(append(body, byte(len(properties))), properties...)
	}
	return append(body, text(id)...)
}

func text(s string) []byte { return append(binary.BigEndian.AppendUint16(nil, uint16(len(s))), s...) }

func (p *peer) send(tb testing.TB, header byte, body ...[]byte) {
	tb.Helper()
	all := bytes.Join(body, nil)
	if _, err := p.Write(append(binary.AppendUvarint([]byte{header}, uint64(len(all))), all...)); err != nil {
		tb.Fatal(err)
	}
}

func (p *peer) read() (header byte, body []byte, err error) {
	if header, err = p.in.ReadByte(); err != nil {
		return 0, nil, err
	}
	n, err := binary.ReadUvarint(p.in) // a remaining length is a varint
	if err != nil {
		return 0, nil, err
	}
	body = make([]byte, n)
	_, err = io.ReadFull(p.in, body)
	return header, body, err
}

// expect reads a packet, which must have this header.
func (p *peer) expect(tb testing.TB, header byte) []byte {
	tb.Helper()
	got, body, err := p.read()
	if err != nil {
		tb.Fatalf("want packet %#x: %v", header, err)
	}
	if got != header {
		tb.Fatalf("packet %#x % x, want %#x", got, body, header)
	}
	return body
}

// expectMessage reads a PUBLISH of an MQTT 3.1.1 client.
func (p *peer) expectMessage(tb testing.TB, header byte, topic string) (id uint16, payload string) {
	tb.Helper()
	body := p.expect(tb, header)
	rest, ok := bytes.CutPrefix(body, text(topic))
	if !ok {
		tb.Fatalf("a message on %q, want %q", body[2:], topic)
	}
	if header&0x06 != 0 {
		id, rest = binary.BigEndian.Uint16(rest), rest[2:]
	}
	return id, string(rest)
}

// expectNothing tells that nothing was sent before the answer to a PINGREQ.
func (p *peer) expectNothing(tb testing.TB) {
	tb.Helper()
	p.send(tb, pingreq)
	p.expect(tb, pingresp)
}

// expectClosed reads until the broker closes the connection.
func (p *peer) expectClosed(tb testing.TB) {
	tb.Helper()
	if _, err := io.Copy(io.Discard, p.in); errors.Is(err, os.ErrDeadlineExceeded) {
		tb.Fatal("the connection is still up")
	}
}

// mustSubscribe asks for one filter with a packet id; it returns the code.
// Messages of others that come before the SUBACK, as they may, are skipped.
func (p *peer) mustSubscribe(tb testing.TB, version byte, id byte, filter string, qos byte) byte {
	tb.Helper()
	head := []byte{0, id}
	if version == v5 {
		head = append(head, 0)
	}
	p.send(tb, subscribe, head, text(filter), []byte{qos})
	header, ack, err := p.read()
	for err == nil && header&0xf0 == qos0 {
		header, ack, err = p.read()
	}
	if header != suback || err != nil {
		tb.Fatalf("packet %#x % x, want SUBACK: %v", header, ack, err)
	}
	if ack[1] != id {
		tb.Fatalf("SUBACK of %d, want %d", ack[1], id)
	}
	return ack[len(ack)-1]
}
