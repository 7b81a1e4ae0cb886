package broker_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"path/filepath"
	"testing"

	"edgeshadow/localshadow/access"
	"edgeshadow/localshadow/broker"
)

// MustOpenCA makes a certification authority.
func MustOpenCA(tb testing.TB) *access.CA {
	tb.Helper()
	ca, err := access.OpenCA(tb.TempDir())
	if err != nil {
		tb.Fatal(err)
	}
	return ca
}

// mustEnroll is the TLS side of a client; of one without a name it shows no certificate.
func mustEnroll(tb testing.TB, ca *access.CA, name string) *tls.Config {
	tb.Helper()
	c := &tls.Config{RootCAs: ca.Pool(), ServerName: "localhost"}
	if name == "" {
		return c
	}
	certificate, key, err := ca.Enroll(name)
	if err != nil {
		tb.Fatal(err)
	}
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		tb.Fatal(err)
	}
	c.Certificates = []tls.Certificate{pair}
	return c
}

// AWS SDKs offer names of their own in ALPN, on any port (SHADOW 31). TLS 1.1
// is refused.
func TestListener_TLS(t *testing.T) {
	ca := MustOpenCA(t)
	b := MustRun(t, broker.Config{Listeners: []broker.Listener{
		{Address: "127.0.0.1:0", TLS: &broker.TLS{Auto: true}, Auth: all},
	}}, newHeld(), ca)
	for _, protocol := range []string{"x-amzn-mqtt-ca", "x-amzn-http-ca", "mqtt"} {
		config := mustEnroll(t, ca, "lamp")
		config.NextProtos = []string{protocol}
		c, err := tls.Dial("tcp", b.Addrs()[0].String(), config)
		if err != nil {
			t.Fatalf("%s: %v", protocol, err)
		}
		_ = c.Close()
	}
	config := mustEnroll(t, ca, "lamp")
	config.MinVersion, config.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
	if c, err := tls.Dial("tcp", b.Addrs()[0].String(), config); err == nil {
		_ = c.Close()
		t.Error("TLS 1.1 is taken")
	}
}

// A client that has a certificate is asked for it by MQTT listeners of any kind
// and may have one of a stranger where it does not count.
func TestListener_AsksForCertificates(t *testing.T) {
	ca, stranger := MustOpenCA(t), MustOpenCA(t)
	auto, anybody := &broker.TLS{Auto: true}, []string{access.Anonymous}
	b := MustRun(t, broker.Config{Listeners: []broker.Listener{
		{Address: "127.0.0.1:0", TLS: auto, Auth: anybody},
		{Address: "127.0.0.1:0", TLS: auto, Auth: anybody, Protocol: broker.WS},
		{Address: "127.0.0.1:0", TLS: auto, Auth: []string{access.Certificate}},
	}}, newHeld(), ca)
	for i, tt := range []struct{ asked, in bool }{{true, true}, {false, true}, {true, false}} {
		asked := false
		pair := mustEnroll(t, stranger, "stranger").Certificates[0]
		config := mustEnroll(t, ca, "")
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			asked = true
			return &pair, nil
		}
		url := []string{"ssl://", "wss://", "ssl://"}[i] + b.Addrs()[i].String()
		c := newClient(b, fmt.Sprint(i), at(url, config))
		token := c.Connect()
		if in := token.WaitTimeout(patience) && token.Error() == nil; in != tt.in || asked != tt.asked {
			t.Errorf("listener %d: in %v, asked %v, want %v, %v (%v)", i, in, asked, tt.in, tt.asked, token.Error())
		}
		c.Disconnect(0)
	}
}

func mustWritePair(tb testing.TB, folder string, pair *tls.Certificate) {
	tb.Helper()
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		tb.Fatal(err)
	}
	mustWrite(tb, filepath.Join(folder, "s.crt"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Certificate[0]}))
	mustWrite(tb, filepath.Join(folder, "s.key"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}))
}
