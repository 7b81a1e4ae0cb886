package gateway_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"testing"
	"time"

	"edgeshadow/cmd/gateway"
	"edgeshadow/localshadow/access"
	"edgeshadow/test/porttest"
)

// Nothing is open to the LAN before a device is enrolled; then it can connect,
// also after a restart. What the configuration names is not added to.
func TestGateway_LAN(t *testing.T) {
	address, dir := porttest.MustFindAddress(t), t.TempDir()
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

// A token opens a place to trade it, and the device that did so connects with what
// it got; where no token waits there is no such place after a start.
func TestGateway_Desk(t *testing.T) {
	lan, desk, dir := porttest.MustFindAddress(t), porttest.MustFindAddress(t), t.TempDir()
	run := func(t *testing.T) running {
		cfg := MustLoad(t, dir, "")
		cfg.Broker.Listeners[0].Address = "127.0.0.1:0" // 1883 may be somebody's
		g := MustRunWith(t, dir, cfg, gateway.Options{LAN: lan, Desk: desk})
		mustConnect(t, g.Addrs()[0].String(), "first")
		await(t, "the gateway is ready", func() bool { return g.Ready() == nil })
		return g
	}
	var token string
	t.Run("first", func(t *testing.T) {
		g := run(t)
		made, err := g.Client.Token(t.Context(), "lamp", time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		if token = made.Token; made.Endpoint != desk {
			t.Errorf("the desk is at %q, want %s", made.Endpoint, desk)
		}
		if made.Broker != lan {
			t.Errorf("the device connects to %q, want %s", made.Broker, lan)
		}
		if got := len(g.Addrs()); got != 3 {
			t.Errorf("%d listeners while a token waits, want 3", got)
		}
	})
	t.Run("again", func(t *testing.T) {
		g := run(t)
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		request, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
		if err != nil {
			t.Fatal(err)
		}
		body, err := json.Marshal(map[string]string{
			"token": token, "csr": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: request})),
		})
		if err != nil {
			t.Fatal(err)
		}
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
		defer client.CloseIdleConnections()
		resp, err := client.Post("https://"+desk+"/enroll", "application/json", bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var b access.Bundle
		if err := json.NewDecoder(resp.Body).Decode(&b); err != nil || resp.StatusCode != http.StatusOK {
			t.Fatal(resp.Status, err)
		}
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		b.Key = string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
		mustHandshake(t, lan, b)
		if got := len(g.Addrs()); got != 3 {
			t.Errorf("%d listeners, want 3", got)
		}
	})
	t.Run("afterwards", func(t *testing.T) {
		if got := len(run(t).Addrs()); got != 2 {
			t.Errorf("%d listeners, want that for clear text and that for devices", got)
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
