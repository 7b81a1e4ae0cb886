package broker_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"edgeshadow/localshadow/access"
	"edgeshadow/localshadow/broker"
	"edgeshadow/test/shadowtest"
)

// timed is a CA whose clock is wrong, and which says so.
type timed struct {
	*access.CA
	now  time.Time
	hint string
}

func (c timed) Now() time.Time    { return c.now }
func (c timed) ClockHint() string { return c.hint }

// moving is a CA whose clock a test moves.
type moving struct {
	*access.CA
	now atomic.Pointer[time.Time]
}

func (c *moving) Now() time.Time { return *c.now.Load() }

// The time of a handshake is the CA's: devices that were enrolled connect years
// from now. When their certificates are out of date, the log says that it may be
// for the clock.
func TestListener_Clock(t *testing.T) {
	ca := MustOpenCA(t)
	for _, tt := range []struct {
		year int
		want bool
	}{{2026, true}, {2037, true}, {2069, true}, {2071, false}, {1970, false}} {
		var log bytes.Buffer
		at := timed{ca, time.Date(tt.year, 6, 1, 0, 0, 0, 0, time.UTC), "clock not set"}
		b := broker.New(broker.Config{Listeners: []broker.Listener{
			{Address: "127.0.0.1:0", TLS: &broker.TLS{Auto: true}, Auth: []string{access.Certificate}},
		}}, newHeld(), at, slog.New(slog.NewTextHandler(&log, nil)))
		if err := b.Listen(); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- b.Run(ctx) }()
		if in := handshakes(t, b.Addrs()[0], mustEnroll(t, ca, "lamp")); in != tt.want {
			t.Errorf("%d: %v", tt.year, in)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if told := strings.Contains(log.String(), `; clock not set"`) && strings.Contains(log.String(), "certificate=lamp"); told == tt.want {
			t.Errorf("%d: log %s", tt.year, log.String())
		}
	}
}

// Whom TLS does not let in is told to who says what clients may do, by the same
// words when it tries again; who only looks whether the port is open is not.
func TestListener_Barred(t *testing.T) {
	ca, other, who := MustOpenCA(t), MustOpenCA(t), &rules{}
	at := &moving{CA: ca}
	b := broker.New(broker.Config{Listeners: []broker.Listener{
		{Address: "127.0.0.1:0", TLS: &broker.TLS{Auto: true}, Auth: []string{access.Certificate}},
		{Address: "127.0.0.1:0", TLS: &broker.TLS{Auto: true}, Auth: []string{access.Certificate}, Protocol: broker.HTTP},
	}}, newHeld(), at, shadowtest.Log(t))
	b.Access = who
	if err := b.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- b.Run(ctx) }()
	c, err := net.Dial("tcp", b.Addrs()[0].String())
	if err == nil {
		err = c.Close()
	}
	if err != nil {
		t.Error(err)
	}
	for _, try := range []struct {
		who  string
		ca   *access.CA
		year int
	}{{"lamp", ca, 2071}, {"lamp", ca, 2072}, {"stranger", other, 2026}} {
		now := time.Date(try.year, 6, 1, 0, 0, 0, 0, time.UTC)
		at.now.Store(&now)
		foreign := mustEnroll(t, ca, try.who)
		foreign.Certificates = mustEnroll(t, try.ca, try.who).Certificates
		foreign.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &foreign.Certificates[0], nil }
		for _, addr := range b.Addrs() {
			if handshakes(t, addr, foreign) {
				t.Errorf("%s is in at %s", try.who, addr)
			}
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	for i, text := range who.refused {
		who.refused[i], _, _ = strings.Cut(text, " (possibly") // two CAs of one name
	}
	slices.Sort(who.refused)
	const dates, unknown = "tls: failed to verify certificate: x509: certificate has expired or is not yet valid: it is after 2070-01-01T00:00:00Z",
		"tls: failed to verify certificate: x509: certificate signed by unknown authority"
	want := []string{": " + dates, ": " + dates, ": " + unknown, "lamp: " + dates, "lamp: " + dates, "stranger: " + unknown}
	if diff := cmp.Diff(want, who.refused); diff != "" {
		t.Error(diff)
	}
}

// handshakes tells whether a client comes in as far as CONNACK: TLS 1.3 tells a
// refusal only after the handshake.
func handshakes(tb testing.TB, at net.Addr, config *tls.Config) bool {
	tb.Helper()
	c, err := tls.Dial("tcp", at.String(), config)
	if err != nil {
		return false
	}
	defer c.Close()
	p := newPeer(c)
	p.send(tb, 0x10, connect(v3, "lamp", clean))
	header, _, err := p.read()
	return err == nil && header == connack
}

// A chain that is longer than a device's is refused, before anybody is asked.
func TestListener_Chain(t *testing.T) {
	ca := MustOpenCA(t)
	b := MustRun(t, broker.Config{Listeners: []broker.Listener{
		{Address: "127.0.0.1:0", TLS: &broker.TLS{Auto: true}, Auth: []string{access.Certificate}},
	}}, newHeld(), ca)
	config := mustEnroll(t, ca, "lamp")
	leaf := config.Certificates[0].Certificate[0]
	for n, want := range map[int]bool{1: true, 5: true, 6: false} {
		config.Certificates[0].Certificate = nil
		for range n {
			config.Certificates[0].Certificate = append(config.Certificates[0].Certificate, leaf)
		}
		if in := handshakes(t, b.Addrs()[0], config); in != want {
			t.Errorf("%d certificates: %v", n, in)
		}
	}
}
