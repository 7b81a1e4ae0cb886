package broker

import (
	"net"

	mqtt "github.com/mochi-mqtt/server/v2"
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
)
