package gateway_test

import (
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
)

// L30: the authority that somebody brought ends, and is renewed in its files, with the
// key that it has: a reload takes it, the server's certificate is issued anew, and
// no client is dropped; who comes may trust the old certificate or the new one.
func TestGateway_RenewedCA(t *testing.T) {
	p := mustLock(t)
	lamp, err := p.connect(p.lamp, "lamp", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer lamp.Disconnect(0)
	shown := func(roots *x509.CertPool) (chain []*x509.Certificate) {
		t.Helper()
		c, err := tls.Dial("tcp", p.Addrs()[0].String(), &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{p.lamp}})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		return c.ConnectionState().PeerCertificates
	}
	before := shown(p.roots)

	next := *p.ca
	next.SerialNumber, next.NotAfter = big.NewInt(2), time.Date(2068, 1, 1, 0, 0, 0, 0, time.UTC)
	der, err := x509.CreateCertificate(rand.Reader, &next, &next, p.ca.PublicKey, p.caKey)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(p.dir, "data/pki/ca.crt")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Gateway.Reload(); err != nil {
		t.Fatal(err)
	}
	renewed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(renewed)
	for name, roots := range map[string]*x509.CertPool{"old": p.roots, "new": roots} {
		after := shown(roots)
		if after[0].Equal(before[0]) || !after[0].NotAfter.Equal(next.NotAfter) || !after[1].Equal(renewed) {
			t.Errorf("to who trusts the %s certificate: %s until %s, by %s", name, after[0].SerialNumber, after[0].NotAfter, after[1].SerialNumber)
		}
	}
	for who, c := range map[string]mqtt.Client{"dt/lamp/x": lamp, "dt/safe/x": p.safe} {
		if token := c.Publish(who, 1, false, "still here"); !token.WaitTimeout(patience) || token.Error() != nil {
			t.Errorf("%s: %v", who, token.Error())
		}
	}
	fresh, err := p.connect(p.mustEnroll("fresh"), "fresh", nil)
	if err != nil {
		t.Fatal(err)
	}
	fresh.Disconnect(0)

	if err := os.WriteFile(file, []byte("half"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Gateway.Reload(); err == nil {
		t.Error("a file that is no certificate is taken")
	}
	if after := shown(roots); !after[1].Equal(renewed) {
		t.Error("after a reload that failed there is another certificate")
	}
}
