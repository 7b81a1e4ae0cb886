// Package porttest finds loopback addresses for tests of what wants to be told
// its port. It may be used from many goroutines.
package porttest

import (
	"net"
	"sync"
	"testing"
)

var given = struct {
	sync.Mutex
	ports map[string]bool
}{ports: map[string]bool{}}

// FindAddress is a loopback address on which nobody listens, and that this
// process was not given before: of two that are wanted, the system may choose
// the same as soon as the first is closed.
func FindAddress() (string, error) {
	given.Lock()
	defer given.Unlock()
	for {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return "", err
		}
		address := l.Addr().String()
		if err := l.Close(); err != nil {
			return "", err
		}
		if !given.ports[address] {
			given.ports[address] = true
			return address, nil
		}
	}
}

// MustFindAddress is FindAddress.
func MustFindAddress(tb testing.TB) string {
	tb.Helper()
	address, err := FindAddress()
	if err != nil {
		tb.Fatal(err)
	}
	return address
}
