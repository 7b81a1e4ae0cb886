package gateway_test

import (
	"crypto/tls"
	"crypto/x509"
	"testing"

	"edgeshadow/cmd/gateway"
	"edgeshadow/localshadow/access"
)

// Nothing is open to the LAN before a device is enrolled; then it can connect,
// also after a restart. What the configuration names is not added to.
func TestGateway_LAN(t *testing.T) {
	address, dir := MustFindAddress(t), t.TempDir()
	run := func(t *testing.T, yaml string) running {
		cfg := MustLoad(t, dir, yaml)
		cfg.Broker.Listeners[0].Address = "127.0.0.1:0" // 1883 may be somebody's
		g := MustRunWith(t, dir, cfg, gateway.Options{LAN: address})
		mustConnect(t, g.Addrs()[0].String(), "first")
		await(t, "the gateway is ready", func() bool { return g.Ready() == nil })
		return g
	}
	var issued access.Bundle
	t.Run("first", func(t *testing.T) {
		g := run(t, "")
		if got := len(g.Addrs()); got != 1 {
			t.Errorf("%d listeners before a device is enrolled, want 1", got)
		}
		var err error
		if issued, err = g.Gateway.Enroll(t.Context(), "lamp"); err != nil {
			t.Fatal(err)
		}
		mustHandshake(t, address, issued)
		if got := len(g.Addrs()); got != 2 {
			t.Errorf("%d listeners after, want 2", got)
		}
	})
	t.Run("again", func(t *testing.T) {
		run(t, "")
		mustHandshake(t, address, issued)
	})
	t.Run("named", func(t *testing.T) {
		g := run(t, "broker: {listeners: [{address: '127.0.0.1:0'}]}")
		if got := len(g.Addrs()); got != 1 {
			t.Errorf("%d listeners where the configuration names one", got)
		}
	})
}

// mustHandshake connects with a certificate, and sends something: TLS 1.3 tells
// a refusal only then.
func mustHandshake(tb testing.TB, address string, b access.Bundle) {
	tb.Helper()
	pair, err := tls.X509KeyPair([]byte(b.Certificate), []byte(b.Key))
	if err != nil {
		tb.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(b.CA))
	c, err := tls.Dial("tcp", address, &tls.Config{Certificates: []tls.Certificate{pair}, RootCAs: roots})
	if err != nil {
		tb.Fatal(err)
	}
	defer c.Close()
	connect := []byte("\x10\x10\x00\x04MQTT\x04\x02\x00\x3c\x00\x04lamp")
	if _, err := c.Write(connect); err != nil {
		tb.Fatal(err)
	}
	answer := make([]byte, 4)
	if _, err := c.Read(answer); err != nil || answer[0] != 0x20 || answer[3] != 0 {
		tb.Errorf("CONNACK % x, %v", answer, err)
	}
}
