package broker_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"edgeshadow/localshadow/shadow"
)

// willing acknowledges at once.
type willing struct{}

func (willing) Handle(_ context.Context, _ shadow.ID, _ string, _ []byte, _ bool, acked func()) {
	acked()
}

// FuzzPackets: whatever follows a CONNECT, its connection ends when the client
// ends it, and another client does not notice.
func FuzzPackets(f *testing.F) {
	b := MustRun(f, loopback(), willing{}, nil)
	other, _ := mustOpen(f, b, v3, "other", clean)
	_ = other.SetDeadline(time.Time{})
	for _, seed := range [][]byte{
		{qos1, 7, 0, 1, 'x', 0, 1, 'h', 'i'},
		{qos2, 6, 0, 1, 'x', 0, 1, 0, pubrel, 2, 0, 1},
		{qos0, 8, 0, 1, 'x', 3, 0x23, 0, 1, 'x'},
		{subscribe, 6, 0, 1, 0, 1, 'x', 1, qos1, 5, 0, 1, 'x', 0, 2},
		{subscribe, 7, 0, 1, 0, 0, 1, '#', 2},
		{subscribe, 5, 0, 1, 0, 0, 1}, // crashes mochi's parser in MQTT 5
		{unsubscribe, 6, 0, 1, 0, 0, 1, 'x'},
		{puback, 2, 0, 1, pubrec, 3, 0, 2, 0x92, pubcomp, 2, 0, 3},
		{0xf0, 2, 0x18, 0},
		{disconnect, 1, 4},
		{qos0, 0xff, 0xff, 0xff, 0x7f},
	} {
		f.Add(seed, true)
		f.Add(seed, false)
	}
	f.Fuzz(func(t *testing.T, packets []byte, five bool) {
		version := byte(v3)
		if five {
			version = v5
		}
		p, _ := mustOpen(t, b, version, "fuzz", clean)
		_, _ = p.Write(packets)
		_ = p.Conn.(*net.TCPConn).CloseWrite()
		if _, err := io.Copy(io.Discard, p.in); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error("the connection is still up")
		}
		_ = p.Close()
		other.expectAlive(t)
	})
}

// expectAlive is expectNothing for a client that messages may come to.
func (p *peer) expectAlive(tb testing.TB) {
	tb.Helper()
	p.send(tb, pingreq)
	for {
		header, _, err := p.read()
		if err != nil {
			tb.Fatal(err)
		}
		if header == pingresp {
			return
		}
	}
}
