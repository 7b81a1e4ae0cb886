package broker_test

import (
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"edgeshadow/localshadow/broker"
)

func from(address string) net.Addr {
	return net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(address), 1))
}

// One machine has its share of the places, loopback all of them.
func TestGate_Places(t *testing.T) {
	g := broker.NewGate()
	n := 0
	for g.Enter(from("10.0.0.1")) {
		n++
	}
	if n != broker.MaxPerAddress {
		t.Errorf("%d connections of one machine, want %d", n, broker.MaxPerAddress)
	}
	for g.Enter(from("127.0.0.1")) {
		n++
	}
	if n != broker.MaxConnections || g.Enter(from("10.0.0.2")) {
		t.Errorf("%d connections, want %d", n, broker.MaxConnections)
	}
	g.Leave(from("::ffff:10.0.0.1")) // the same machine
	if !g.Enter(from("10.0.0.1")) {
		t.Error("a place that was left is not free")
	}
}

// A machine that connects again and again, without end, is slowed down, and the
// others are not.
func TestGate_Rate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := broker.NewGate()
		try := func(address string) bool {
			if !g.Enter(from(address)) {
				return false
			}
			g.Leave(from(address))
			return true
		}
		n := 0
		for try("10.0.0.1") {
			n++
		}
		if n != broker.ConnectsAtOnce {
			t.Errorf("%d at once, want %d", n, broker.ConnectsAtOnce)
		}
		if !try("10.0.0.2") || !try("127.0.0.1") {
			t.Error("others are held up")
		}
		<-time.After(2 * time.Second)
		for n = 0; try("10.0.0.1"); n++ {
		}
		if n != 2*broker.ConnectsPerSecond {
			t.Errorf("%d after two seconds, want %d", n, 2*broker.ConnectsPerSecond)
		}
	})
}

// Machines that are gone are forgotten.
func TestGate_Forgets(t *testing.T) {
	g := broker.NewGate()
	for i := range 10 * broker.MaxConnections {
		remote := from(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}).String())
		if !g.Enter(remote) {
			t.Fatalf("machine %d is refused", i)
		}
		g.Leave(remote)
	}
	if n := g.Addresses(); n > 2*broker.MaxConnections {
		t.Errorf("%d machines are remembered", n)
	}
}
