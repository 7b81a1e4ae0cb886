package broker

import (
	"net"
	"net/netip"
	"sync"
)

// Bounds of all connections. The first leaves room for those that are still
// shaking hands.
const (
	maxClients     = 1024
	maxConnections = maxClients + 128
	maxPerAddress  = 256 // of one machine beyond loopback
)

// gate counts connections by where they come from, so that one machine can't
// use up the places of all.
type gate struct {
	mu    sync.Mutex
	total int
	from  map[netip.Addr]int
}

func newGate() *gate { return &gate{from: map[netip.Addr]int{}} }

// enter takes a place; leave must be called when it reports true.
func (g *gate) enter(remote net.Addr) bool {
	addr := host(remote)
	g.mu.Lock()
	defer g.mu.Unlock()
	local := addr.IsLoopback() || !addr.IsValid() // a Unix socket has no address
	if g.total >= maxConnections || !local && g.from[addr] >= maxPerAddress {
		return false
	}
	g.total++
	g.from[addr]++
	return true
}

func (g *gate) leave(remote net.Addr) {
	addr := host(remote)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.total--
	if g.from[addr]--; g.from[addr] == 0 {
		delete(g.from, addr)
	}
}

func host(remote net.Addr) netip.Addr {
	at, _ := netip.ParseAddrPort(remote.String())
	return at.Addr().Unmap().WithZone("")
}
