package access_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"edgeshadow/localshadow"
	"edgeshadow/localshadow/access"
	"edgeshadow/test/shadowtest"
)

// MustOpen opens an Access over a store and a CA of its own.
func MustOpen(tb testing.TB, cfg access.Config, set ...func(*access.Options)) *access.Access {
	tb.Helper()
	dir := tb.TempDir()
	return mustOpenAt(tb, dir, shadowtest.MustOpenStoreAt(tb, dir), cfg, set...)
}

func mustOpenAt(tb testing.TB, dir string, store *localshadow.Store, cfg access.Config, set ...func(*access.Options)) *access.Access {
	tb.Helper()
	ca, err := access.OpenCA(filepath.Join(dir, "pki"))
	if err != nil {
		tb.Fatal(err)
	}
	o := access.Options{CA: ca}
	for _, f := range set {
		f(&o)
	}
	a, err := access.Open(cfg, store, o)
	if err != nil {
		tb.Fatal(err)
	}
	return a
}

func mustWrite(tb testing.TB, name, text string) string {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		tb.Fatal(err)
	}
	return path
}

// mustCertify makes a certificate that the TLS layer has verified, as far as
// Access can tell.
func mustCertify(tb testing.TB, subject pkix.Name, change ...func(*x509.Certificate)) *x509.Certificate {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(0xabc), Subject: subject, NotAfter: time.Now().Add(time.Hour)}
	for _, f := range change {
		f(template)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		tb.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

var everyWay = []string{"anonymous", "certificate", "password", "sigv4"}

func from(address string) net.Addr {
	return &net.TCPAddr{IP: net.ParseIP(address), Port: 40000}
}

// anonymous shows nothing.
func anonymous(client string) access.Credentials {
	return access.Credentials{Listener: ":1883", Auth: everyWay, Remote: from("192.168.7.20"), ClientID: client}
}

func mustAuthenticate(tb testing.TB, a *access.Access, c access.Credentials) *access.Principal {
	tb.Helper()
	p, err := a.Authenticate(c)
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

var shared struct {
	sync.Mutex
	stores map[string]*localshadow.Store
}

// store is one for all that a test opens.
func store(tb testing.TB) *localshadow.Store {
	tb.Helper()
	shared.Lock()
	defer shared.Unlock()
	if s := shared.stores[tb.Name()]; s != nil {
		return s
	}
	s := shadowtest.MustOpenStore(tb)
	if shared.stores == nil {
		shared.stores = map[string]*localshadow.Store{}
	}
	shared.stores[tb.Name()] = s
	tb.Cleanup(func() {
		shared.Lock()
		delete(shared.stores, tb.Name())
		shared.Unlock()
	})
	return s
}
