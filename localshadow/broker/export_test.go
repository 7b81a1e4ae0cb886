package broker

import (
	"io"
	"net"
	"net/http"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"

	"edgeshadow/localshadow/access"
)

// What has rules of its own is tested apart from the network.
var (
	MayPublish   = mayPublish
	MaySubscribe = maySubscribe
	SeesReserved = seesReserved
	ValidFilter  = validFilter
	ValidTopic   = validTopic
)

const (
	ReceiveMaximum = receiveMaximum
	MaxAliases     = maxAliases
)

// Gate is the gate of connections.
type Gate struct{ *gate }

func NewGate() Gate                       { return Gate{newGate()} }
func (g Gate) Enter(remote net.Addr) bool { return g.enter(remote) }
func (g Gate) Leave(remote net.Addr)      { g.leave(remote) }
func (g Gate) Addresses() int             { return len(g.from) }

// Conn is the wrapper of one connection.
type Conn struct{ *conn }

// NewConn wraps; slow is called when the buffer overflows.
func NewConn(c net.Conn, slow func()) Conn {
	return Conn{newConn(c, func(*mqtt.Client) { slow() }, new(traffic), origin{})}
}

// NewWebSocketConn wraps what a request becomes.
func NewWebSocketConn(w http.ResponseWriter, r *http.Request) (Conn, error) {
	ws, err := upgrader.Upgrade(w, r, nil)
	return NewConn(&webSocket{Conn: ws}, func() {}), err
}

func (c Conn) Pace() { c.pace() }
func (c Conn) Wait() { c.wait() }

// Bounds of a connection.
const (
	ConnectTimeout = connectTimeout
	WriteTimeout   = writeTimeout
	LingerTimeout  = lingerTimeout
	Patience       = patience
	MaxBuffered    = maxBuffered
	Paced          = paced
	MaxPerAddress  = maxPerAddress
	MaxConnections = maxConnections

	ConnectsAtOnce    = connectsAtOnce
	ConnectsPerSecond = connectsPerSecond
)

// RoundTripMessage writes the record of a message at one time and reads it at
// another; it returns what is left of its time then.
func RoundTripMessage(topic string, payload []byte, expires, written, read time.Time) (left time.Duration, err error) {
	m := &message{topic: topic, payload: payload, expires: expires}
	again, err := readMessage(appendMessage(nil, m, written), read)
	if err != nil {
		return 0, err
	}
	return again.expires.Sub(read), nil
}

// Records are one of each kind.
func Records() [][]byte {
	m := &message{topic: "a", payload: []byte("x"), properties: []byte{1, 1}, origin: "c", qos: 1, seq: 7}
	s := newSession(nil, "c")
	s.owner = "anonymous"
	sub := &subscription{filter: "$share/g/a/+", qos: 2, noLocal: true, id: 300}
	d := &delivery{m: m, qos: 2, retain: true, id: 9, ids: []int{1, 200}}
	return [][]byte{appendMessage(nil, m, time.Now()), appendSession(nil, s), appendSubscription(nil, sub), appendDelivery(nil, d)}
}

// Rewrite reads a record as each kind, and writes those that can be read.
func Rewrite(record []byte) map[string][]byte {
	out := map[string][]byte{}
	now := time.Unix(0, 0)
	if m, err := readMessage(record, now); err == nil {
		out["message"] = appendMessage(nil, m, now)
	}
	if s := newSession(nil, ""); readSession(record, s) == nil {
		out["session"] = appendSession(nil, s)
	}
	if sub, err := readSubscription(record); err == nil {
		out["subscription"] = appendSubscription(nil, sub)
	}
	if d, n, err := readDelivery(record); err == nil {
		d.m = &message{seq: n}
		out["delivery"] = appendDelivery(nil, d)
	}
	return out
}

// Bounds of HTTP.
const (
	HeaderTimeout = headerTimeout
	BodyTimeout   = bodyTimeout
	IdleTimeout   = idleTimeout
)

// RunWeb serves connections that TakeWeb hands over; stop ends it.
func (b *Broker) RunWeb() (stop func() error) {
	b.Access = trusting{b.log}
	done := make(chan error, 1)
	go func() { done <- b.web.run() }()
	return func() error {
		b.web.stop()
		return <-done
	}
}

func (b *Broker) TakeWeb(c net.Conn) {
	l := &listener{b: b, log: b.log, conns: map[io.Closer]struct{}{}}
	b.gate.enter(c.RemoteAddr())
	b.web.take(&place{Conn: c, l: l, rules: &rules{protocol: HTTP, auth: []string{access.Anonymous}}})
}

// TellArrival makes the event of a client that connects.
func (b *Broker) TellArrival(client string) {
	var version int64 = 1
	b.tell("presence", "connected", client, presence{Session: "s", Principal: "p"}, func(e *event) {
		e.Address, e.Version = "127.0.0.1", &version
	})
}
