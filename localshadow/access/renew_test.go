package access_test

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"edgeshadow/localshadow/access"
)

// echo is a server that repeats lines, with the certificate of a CA.
type echo struct {
	ca   *access.CA
	addr string
}

func mustEcho(tb testing.TB, ca *access.CA) echo {
	tb.Helper()
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{GetCertificate: ca.ServerCertificate})
	if err != nil {
		tb.Fatal(err)
	}
	var wait sync.WaitGroup
	wait.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wait.Go(func() {
				defer c.Close()
				for lines := bufio.NewReader(c); ; {
					line, err := lines.ReadString('\n')
					if err != nil {
						return
					}
					_, _ = c.Write([]byte(line))
				}
			})
		}
	})
	tb.Cleanup(func() {
		_ = l.Close()
		wait.Wait()
	})
	return echo{ca, l.Addr().String()}
}

// dial shakes hands with the server by one of its names.
func (e echo) dial(tb testing.TB, host string, roots *x509.CertPool) (*tls.Conn, error) {
	c, err := tls.Dial("tcp", e.addr, &tls.Config{RootCAs: roots, ServerName: host})
	if err == nil {
		tb.Cleanup(func() { _ = c.Close() })
	}
	return c, err
}

func say(tb testing.TB, c net.Conn, line string) {
	tb.Helper()
	if _, err := c.Write([]byte(line + "\n")); err != nil {
		tb.Fatal(err)
	}
	if got, err := bufio.NewReader(c).ReadString('\n'); err != nil || got != line+"\n" {
		tb.Fatalf("%q, %v", got, err)
	}
}

// The server's certificate is another as soon as the machine has another address;
// who is connected notices nothing, and who comes can use either name.
func TestCA_Renew_Hosts(t *testing.T) {
	ca := MustOpenCA(t, t.TempDir())
	ca.SetHosts("gw", "192.0.2.7")
	e := mustEcho(t, ca)
	live, err := e.dial(t, "192.0.2.7", ca.Pool())
	if err != nil {
		t.Fatal(err)
	}
	say(t, live, "before")
	if _, err := e.dial(t, "192.0.2.8", ca.Pool()); err == nil {
		t.Error("a name that the machine does not have")
	}
	ca.SetHosts("gw", "192.0.2.8")
	if _, err := e.dial(t, "192.0.2.8", ca.Pool()); err != nil {
		t.Error(err)
	}
	if _, err := e.dial(t, "192.0.2.7", ca.Pool()); err == nil {
		t.Error("a name that the machine had")
	}
	say(t, live, "after")
}

// An authority that somebody brought is renewed in its files: the server's
// certificate is of the new one, and lasts as long; who is connected stays. Files
// that are no authority leave the old one, and so does a change that is taken back.
func TestCA_Prepare(t *testing.T) {
	dir := t.TempDir()
	key := ecKey(t, elliptic.P256())
	mustWriteCA(t, dir, key, mustCertifyCA(t, "site", key, time.Now().Add(time.Hour), nil, nil))
	ca := MustOpenCA(t, dir)
	e := mustEcho(t, ca)
	live, err := e.dial(t, "localhost", ca.Pool())
	if err != nil {
		t.Fatal(err)
	}
	ends := func() time.Time {
		t.Helper()
		c, err := e.dial(t, "localhost", ca.Pool())
		if err != nil {
			t.Fatal(err)
		}
		return c.ConnectionState().PeerCertificates[0].NotAfter
	}
	prepare := func() (discard func()) {
		t.Helper()
		_, discard, err := ca.Prepare()
		if err != nil {
			t.Fatal(err)
		}
		return discard
	}
	first := ends()
	prepare()
	if again := ends(); !again.Equal(first) {
		t.Errorf("files that did not change: %s, was %s", again, first)
	}

	// The same key for longer: what the devices trust has the old certificate still.
	old := ca.Pool()
	mustWriteCA(t, dir, key, mustCertifyCA(t, "site", key, time.Now().Add(100*time.Hour), nil, nil))
	discard := prepare()
	if renewed := ends(); renewed.Before(first.Add(90 * time.Hour)) {
		t.Errorf("until %s, was %s", renewed, first)
	}
	if _, err := e.dial(t, "localhost", old); err != nil {
		t.Errorf("with the old certificate of the CA: %v", err)
	}
	discard()
	if back := ends(); !back.Equal(first) {
		t.Errorf("taken back: until %s, was %s", back, first)
	}
	prepare()

	if err := os.WriteFile(filepath.Join(dir, "ca.crt"), []byte("nothing"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, _, err := ca.Prepare(); err == nil || !strings.Contains(err.Error(), dir) {
		t.Errorf("files that are no CA: %v", err)
	}
	ends()
	say(t, live, "still here")
}

// A CA below another: devices get all that vouches for it, for OpenSSL trusts no
// certificate that is not a root; and who trusts the root alone comes in too.
func TestCA_Intermediate(t *testing.T) {
	dir, rootKey, key := t.TempDir(), ecKey(t, elliptic.P256()), ecKey(t, elliptic.P256())
	root := mustCertifyCA(t, "company", rootKey, time.Now().Add(time.Hour), nil, nil)
	mustWriteCA(t, dir, key, mustCertifyCA(t, "site", key, time.Now().Add(time.Hour), root, rootKey), root)
	ca := MustOpenCA(t, dir)
	roots := x509.NewCertPool()
	roots.AddCert(root)
	if _, err := mustEcho(t, ca).dial(t, "localhost", roots); err != nil {
		t.Error(err)
	}
	bundle := ca.PEM()
	first, rest := pem.Decode(bundle)
	if second, _ := pem.Decode(rest); first == nil || second == nil || string(second.Bytes) != string(root.Raw) {
		t.Errorf("the root is not in what devices get:\n%s", bundle)
	}
	// Another CA of the company's is a foreign one.
	otherKey := ecKey(t, elliptic.P256())
	other := mustCertifyCA(t, "other site", otherKey, time.Now().Add(time.Hour), root, rootKey)
	_, err := other.Verify(x509.VerifyOptions{Roots: ca.Pool()})
	if err == nil {
		t.Error("a certificate of another site is trusted")
	}
}

// A power cut during the first start leaves a key whose certificate is not yet
// there, or is: neither is in the way, and no key is lost that has one.
func TestOpenCA_HalfMade(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "ca.key.new"), []byte("half a k"), 0o600); err != nil {
		t.Fatal(err)
	}
	made := MustOpenCA(t, dir)
	if err := os.Rename(filepath.Join(dir, "ca.key"), filepath.Join(dir, "ca.key.new")); err != nil {
		t.Fatal(err)
	}
	if again := MustOpenCA(t, dir); again.Fingerprint() != made.Fingerprint() {
		t.Error("another CA")
	}
}

// mustCertifyCA makes an authority's certificate; a nil parent: it signs itself.
func mustCertifyCA(tb testing.TB, name string, key *ecdsa.PrivateKey, until time.Time, parent *x509.Certificate, by *ecdsa.PrivateKey) *x509.Certificate {
	tb.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(until.Unix()), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: until,
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	if parent == nil {
		parent, by = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, by)
	if err != nil {
		tb.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

func mustWriteCA(tb testing.TB, dir string, key *ecdsa.PrivateKey, chain ...*x509.Certificate) {
	tb.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		tb.Fatal(err)
	}
	var text []byte
	for _, c := range chain {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	for name, text := range map[string][]byte{"ca.crt": text, "ca.key": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			tb.Fatal(err)
		}
	}
}
