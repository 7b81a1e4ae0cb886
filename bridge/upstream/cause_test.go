package upstream_test

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"edgeshadow/bridge/upstream"
	"edgeshadow/localshadow/access"
)

// MustWrite puts a file into a folder of the test.
func MustWrite(tb testing.TB, data []byte) string {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "file.pem")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		tb.Fatal(err)
	}
	return path
}

// MustCA makes an authority.
func MustCA(tb testing.TB) *access.CA {
	tb.Helper()
	ca, err := access.OpenCA(tb.TempDir())
	if err != nil {
		tb.Fatal(err)
	}
	return ca
}

// MustAnswer listens, and answers each connection with bytes.
func MustAnswer(tb testing.TB, answer []byte) string {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = c.Read(make([]byte, 512))
			_, _ = c.Write(answer)
			_ = c.Close()
		}
	}()
	return l.Addr().String()
}

// The operator reads why there is no uplink, and what to do.
func TestStatus_Why(t *testing.T) {
	ca := MustCA(t)
	tlsBroker := MustServe(t, serverTLS(ca))
	denying := MustServe(t, nil)
	denying.turn(func(b *broker) { b.deny = "in/" })
	plain := MustServe(t, nil)
	nobody := MustAnswer(t, nil)
	tests := map[string]struct {
		endpoint  string
		set       func(c *upstream.Client)
		why, hint string
	}{
		"Refused":    {"mqtt://127.0.0.1:1", nil, "connect to 127.0.0.1:1: connection refused", "nothing listens there"},
		"Name":       {"mqtt://no-such-host.invalid:1883", nil, "no-such-host.invalid", "cloud.endpoint does not exist"},
		"Subscribe":  {"mqtt://" + denying.addr, nil, "subscription refused: in/#", "iot:Subscribe on topicfilter/in/#"},
		"NoTLS":      {"mqtts://" + plain.addr, nil, "TLS with", "is there TLS on this port?"},
		"Root":       {"mqtts://" + tlsBroker.addr, nil, "unknown authority", "cloud.ca must hold the root"},
		"Closed":     {"mqtt://" + nobody, nil, "closed by the other side", "is mqtt or mqtts right"},
		"Code5":      {"mqtt://" + MustAnswer(t, []byte{0x20, 2, 0, 5}), nil, "code 5: not authorized", "iot:Connect"},
		"Code7":      {"mqtt://" + MustAnswer(t, []byte{0x20, 2, 0, 7}), nil, "code 7: not authorized", "iot:Connect"},
		"Code3":      {"mqtt://" + MustAnswer(t, []byte{0x20, 2, 0, 3}), nil, "code 3: server unavailable", ""},
		"NoConnack":  {"mqtt://" + MustAnswer(t, []byte{0xd0, 0}), nil, "where none may be", "CONNECT"},
		"ClockUnset": {"mqtts://" + tlsBroker.addr, func(c *upstream.Client) { c.Config.CA = MustWrite(t, ca.PEM()); c.Now = longAgo }, "the clock is not set, it shows 1970-01-01", "timedatectl"},
		"NoFile":     {"mqtts://" + tlsBroker.addr, func(c *upstream.Client) { c.Config.CA = "/no/such/ca.pem" }, "/no/such/ca.pem", "check the files"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c, r, _ := MustRun(t, tt.endpoint, tt.set)
			s := awaitStatus(t, c, "a failure", func(s upstream.Status) bool { return s.Failures > 0 })
			if !strings.Contains(s.Why, tt.why) {
				t.Errorf("got why %q, want %q in it", s.Why, tt.why)
			}
			if !strings.Contains(s.Hint, tt.hint) || tt.hint == "" && s.Hint != "" {
				t.Errorf("got hint %q, want %q in it", s.Hint, tt.hint)
			}
			if seen := r.seen(); len(seen) > 0 {
				t.Errorf("the handler heard %v", seen)
			}
		})
	}
}

func longAgo() time.Time { return time.Unix(0, 0) }

// F-9: two gateways with one id would throw each other out for ever, in silence.
func TestStatus_Fight(t *testing.T) {
	b := MustServe(t, nil)
	one, _, _ := MustRun(t, "mqtt://"+b.addr, nil)
	MustRun(t, "mqtt://"+b.addr, nil)
	s := awaitStatus(t, one, "a fight", func(s upstream.Status) bool { return strings.Contains(s.Why, "taken over") })
	if !strings.Contains(s.Hint, "gateway.thing") {
		t.Errorf("got hint %q", s.Hint)
	}
}

// The certificate of the client is read anew for every connection.
func TestClient_Certificate(t *testing.T) {
	ca := MustCA(t)
	b := MustServe(t, serverTLS(ca))
	link := MustLink(t, b.addr)
	certificate, key, err := ca.Enroll("gw-1")
	if err != nil {
		t.Fatal(err)
	}
	crt, keyFile := MustWrite(t, certificate), MustWrite(t, key)
	_, r, _ := MustRun(t, "mqtts://"+link.Addr(), func(c *upstream.Client) {
		c.Config.CA, c.Config.Certificate, c.Config.Key = MustWrite(t, ca.PEM()), crt, keyFile
	})
	r.await(t, "up new", 1)
	other := MustCA(t)
	certificate, key, err = other.Enroll("gw-1")
	if err != nil {
		t.Fatal(err)
	}
	for path, data := range map[string][]byte{crt: certificate, keyFile: key} {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	link.Cut()
	r.await(t, "down", 1)
	link.Heal()
	await(t, "a refusal", func() (bool, string) { return link.Accepted() > 2, "one connection" })
	for _, e := range r.seen() {
		if e == "up kept" {
			t.Error("connected with a certificate of another authority")
		}
	}
}
