package broker

import (
	"net"
	"net/netip"
	"sync"
	"time"
)

// Bounds of all connections. The first leaves room for those that are still
// shaking hands.
const (
	maxClients     = 1024
	maxConnections = maxClients + 128
	maxPerAddress  = 256 // of one machine beyond loopback
)

// Connections that one machine beyond loopback may begin: per second over some
// time, and so many at once, all that it may have twice over. A handshake costs
// more than all that follows it.
const (
	connectsPerSecond = 20
	connectsAtOnce    = 2 * maxPerAddress
)

// gate counts connections by where they come from, so that one machine can't
// use up the places of all, or the time.
type gate struct {
	mu    sync.Mutex
	total int
	from  map[netip.Addr]*machine
}

type machine struct {
	open int
	rate bucket
}

func newGate() *gate { return &gate{from: map[netip.Addr]*machine{}} }

// enter takes a place; leave must be called when it reports true.
func (g *gate) enter(remote net.Addr) bool {
	addr := host(remote)
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.total >= maxConnections {
		return false
	}
	m := g.from[addr]
	if m == nil {
		g.forget()
		m = &machine{}
		g.from[addr] = m
	}
	local := addr.IsLoopback() || !addr.IsValid() // a Unix socket has no address
	if !local && (m.open >= maxPerAddress || !m.rate.take(time.Now(), connectsPerSecond, connectsAtOnce)) {
		return false
	}
	g.total++
	m.open++
	return true
}

func (g *gate) leave(remote net.Addr) {
	addr := host(remote)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.total--
	g.from[addr].open--
}

// forget drops the machines that have no connection and a full rate again, when
// there are many: those that could connect at all are few. It needs mu.
func (g *gate) forget() {
	if len(g.from) < 2*maxConnections {
		return
	}
	const full = connectsAtOnce / connectsPerSecond * time.Second
	now := time.Now()
	for addr, m := range g.from {
		if m.open == 0 && (now.Sub(m.rate.at) >= full || m.rate.left >= connectsAtOnce-1) {
			delete(g.from, addr)
		}
	}
}

func host(remote net.Addr) netip.Addr {
	at, _ := netip.ParseAddrPort(remote.String())
	return at.Addr().Unmap().WithZone("")
}
