package access_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"edgeshadow/localshadow/access"
	"edgeshadow/test/shadowtest"
)

func MustOpenCA(tb testing.TB, dir string) *access.CA {
	tb.Helper()
	ca, err := access.OpenCA(dir)
	if err != nil {
		tb.Fatal(err)
	}
	return ca
}

func mustParse(tb testing.TB, text string) *x509.Certificate {
	tb.Helper()
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		tb.Fatalf("no PEM: %q", text)
	}
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

// The key is the owner's alone, and what is there stays.
func TestOpenCA(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "pki")
	ca := MustOpenCA(t, dir)
	info, err := os.Stat(filepath.Join(dir, "ca.key"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info.Mode(), err)
	}
	if again := MustOpenCA(t, dir); string(again.PEM()) != string(ca.PEM()) || again.Fingerprint() != ca.Fingerprint() {
		t.Error("another CA")
	}
	if len(ca.Fingerprint()) != 95 {
		t.Error(ca.Fingerprint())
	}
	if err := os.Remove(filepath.Join(dir, "ca.key")); err != nil {
		t.Fatal(err)
	}
	if _, err := access.OpenCA(dir); err == nil {
		t.Error("a certificate without its key is replaced")
	}
}

// Files of somebody's own CA take the place of ours.
func TestOpenCA_Own(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	write := func(isCA bool) string {
		template := &x509.Certificate{
			SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "own"}, NotBefore: time.Now().Add(-time.Hour),
			NotAfter: time.Now().Add(time.Hour), IsCA: isCA, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
		}
		der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		keyDER, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		for name, block := range map[string]*pem.Block{"ca.crt": {Type: "CERTIFICATE", Bytes: der}, "ca.key": {Type: "PRIVATE KEY", Bytes: keyDER}} {
			if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		return dir
	}
	ca := MustOpenCA(t, write(true))
	text, _, err := ca.Enroll("lamp")
	if err != nil {
		t.Fatal(err)
	}
	c := mustParse(t, string(text))
	if _, err := c.Verify(x509.VerifyOptions{Roots: ca.Pool(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil {
		t.Error(err)
	}
	if c.NotAfter.After(time.Now().Add(2 * time.Hour)) {
		t.Errorf("valid until %s, longer than its CA", c.NotAfter)
	}
	if _, err := access.OpenCA(write(false)); err == nil {
		t.Error("a certificate that is no CA's is taken")
	}
}

// The server's certificate names this host, its .local name and each address.
func TestCA_ServerCertificate(t *testing.T) {
	ca := MustOpenCA(t, t.TempDir())
	pair, err := ca.ServerCertificate(nil)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, host := range append(access.Hosts(), "localhost", "127.0.0.1", "::1") {
		if _, err := c.Verify(x509.VerifyOptions{Roots: ca.Pool(), DNSName: host}); err != nil {
			t.Errorf("%s: %v", host, err)
		}
	}
	if err := c.VerifyHostname(access.LANHost()); err != nil {
		t.Errorf("what devices are told to connect to: %v", err)
	}
	if again, _ := ca.ServerCertificate(nil); again != pair {
		t.Error("a new certificate for the same names")
	}
}

func TestCA_Enroll_Names(t *testing.T) {
	ca := MustOpenCA(t, t.TempDir())
	for _, name := range []string{"", "a+", "#", "*", "a/b", "../a", "a b", "a\x00", "ä", strings.Repeat("x", 129)} {
		if _, _, err := ca.Enroll(name); err == nil {
			t.Errorf("%q is enrolled", name)
		}
	}
}

// request makes a certificate request of a device.
func request(tb testing.TB, name string, key any) []byte {
	tb.Helper()
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: name}}, key)
	if err != nil {
		tb.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})
}

func ecKey(tb testing.TB, curve elliptic.Curve) *ecdsa.PrivateKey {
	tb.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

func TestSign(t *testing.T) {
	a := MustOpen(t, access.Config{})
	key := ecKey(t, elliptic.P256())
	b, err := a.Sign(t.Context(), request(t, "lamp", key))
	if err != nil {
		t.Fatal(err)
	}
	if c := mustParse(t, b.Certificate); c.Subject.CommonName != "lamp" || !key.PublicKey.Equal(c.PublicKey) || b.Key != "" {
		t.Errorf("%v", c.Subject)
	}
	broken := request(t, "lamp", key)
	block, _ := pem.Decode(broken)
	block.Bytes[len(block.Bytes)-1] ^= 1
	for what, r := range map[string][]byte{
		"nothing":         {},
		"noise":           []byte("hello"),
		"a certificate":   []byte(b.Certificate),
		"a bad signature": pem.EncodeToMemory(block),
		"a short EC key":  request(t, "lamp", ecKey(t, elliptic.P224())),
		"no name":         request(t, "", key),
		"a name with /":   request(t, "a/b", key),
		"a name with #":   request(t, "#", key),
		"too much":        make([]byte, 17<<10),
	} {
		if _, err := a.Sign(t.Context(), r); err == nil {
			t.Errorf("%s is signed", what)
		}
	}
}

// Whatever a stranger sends as a request: no panic, and a certificate only for a
// name that a thing may have.
func FuzzSign(f *testing.F) {
	a, err := access.Open(access.Config{}, shadowtest.MustOpenStore(f), access.Options{CA: MustOpenCA(f, f.TempDir())})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(request(f, "lamp", ecKey(f, elliptic.P256())))
	f.Add([]byte("-----BEGIN CERTIFICATE REQUEST-----\nAA==\n-----END CERTIFICATE REQUEST-----\n"))
	f.Fuzz(func(t *testing.T, r []byte) {
		if b, err := a.Sign(t.Context(), r); err == nil && mustParse(t, b.Certificate).Subject.CommonName != b.Thing {
			t.Errorf("%+v", b)
		}
	})
}

// What is revoked stays revoked, over a restart, over a lost store, and beside a
// line that a power cut left.
func TestRevoke(t *testing.T) {
	dir, ctx := t.TempDir(), t.Context()
	store := shadowtest.MustOpenStoreAt(t, dir)
	a := mustOpenAt(t, dir, store, access.Config{})
	lamp, err := a.Enroll(ctx, "lamp", false)
	if err != nil {
		t.Fatal(err)
	}
	pump, err := a.Enroll(ctx, "pump", false)
	if err != nil {
		t.Fatal(err)
	}
	show := func(b access.Bundle) access.Credentials {
		c := anonymous(b.Thing)
		c.Auth, c.Certificate = []string{"certificate"}, mustParse(t, b.Certificate)
		return c
	}
	live := mustAuthenticate(t, a, show(lamp))
	var ended []string
	a.OnRevoke(func(cause string, of func(name, certificate string) bool) {
		for _, p := range []*access.Principal{live} {
			if of(p.Name(), p.Certificate()) {
				ended = append(ended, cause)
			}
		}
	})
	ids, err := a.Revoke("lamp")
	if err != nil || len(ids) != 1 || ids[0] != lamp.ID {
		t.Fatal(ids, err)
	}
	if len(ended) != 1 || live.May("iot:Publish", "dt/lamp/x") {
		t.Errorf("ended %q, and may still publish: %v", ended, live.May("iot:Publish", "dt/lamp/x"))
	}
	refused := func(when string, a *access.Access) {
		t.Helper()
		if _, err := a.Authenticate(show(lamp)); err == nil || err.Error() != "its certificate is revoked" {
			t.Errorf("%s: %v", when, err)
		}
		if _, err := a.Authenticate(show(pump)); err != nil {
			t.Errorf("%s: pump: %v", when, err)
		}
	}
	refused("at once", a)
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "pki", "revoked")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, append(text, "0123abc"...), 0o600); err != nil { // cut off
		t.Fatal(err)
	}
	fresh := t.TempDir() // the store was set aside
	a = mustOpenAt(t, dir, shadowtest.MustOpenStoreAt(t, fresh), access.Config{})
	refused("with another store", a)
	if _, err := a.Revoke(pump.ID); err != nil { // by its id: its record is lost
		t.Fatal(err)
	}
	a = mustOpenAt(t, dir, shadowtest.MustOpenStoreAt(t, t.TempDir()), access.Config{})
	if _, err := a.Authenticate(show(pump)); err == nil {
		t.Error("a line after one that was cut off is lost")
	}
	if _, err := a.Revoke("nobody"); err == nil {
		t.Error("nobody was revoked")
	}
}

// A replaced certificate ends when the new one is first used, not before.
func TestEnroll_Replace(t *testing.T) {
	a := MustOpen(t, access.Config{})
	show := func(b access.Bundle) access.Credentials {
		c := anonymous("lamp")
		c.Auth, c.Certificate = []string{"certificate"}, mustParse(t, b.Certificate)
		return c
	}
	first, err := a.Enroll(t.Context(), "lamp", false)
	if err != nil {
		t.Fatal(err)
	}
	second, err := a.Enroll(t.Context(), "lamp", true)
	if err != nil {
		t.Fatal(err)
	}
	mustAuthenticate(t, a, show(first))
	mustAuthenticate(t, a, show(second))
	if _, err := a.Authenticate(show(first)); err == nil {
		t.Error("the old certificate is still valid")
	}
	mustAuthenticate(t, a, show(second))
}

// A clock that is not set does not count: certificates are checked at the last
// good time. One that jumps ten years ahead does no harm to ours.
func TestClock(t *testing.T) {
	dir := t.TempDir()
	ca := MustOpenCA(t, dir)
	text, _, err := ca.Enroll("lamp")
	if err != nil {
		t.Fatal(err)
	}
	valid := func(when string) {
		t.Helper()
		_, err := mustParse(t, string(text)).Verify(x509.VerifyOptions{
			Roots: ca.Pool(), CurrentTime: ca.Now(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		})
		if err != nil {
			t.Errorf("%s: %v", when, err)
		}
	}
	at := func(year int) { ca.SetClock(func() time.Time { return time.Date(year, 6, 1, 0, 0, 0, 0, time.UTC) }) }
	at(2027)
	valid("now")
	if err := ca.SaveClock(); err != nil || ca.ClockHint() != "" {
		t.Error(err, ca.ClockHint())
	}
	at(1970)
	valid("without a clock")
	if ca.Now().Year() != 2027 || !strings.HasPrefix(ca.ClockHint(), "clock not set: ") {
		t.Errorf("%s %q", ca.Now(), ca.ClockHint())
	}
	ca = MustOpenCA(t, dir) // the last good time outlives a restart
	at(1970)
	if ca.Now().Year() != 2027 {
		t.Error(ca.Now())
	}
	if err := ca.SaveClock(); err != nil || ca.Now().Year() != 2027 {
		t.Error("a time that is none was kept", err)
	}
	at(2037)
	valid("ten years ahead")
	if err := ca.SaveClock(); err != nil {
		t.Error(err)
	}
	at(2027)
	if valid("back again"); ca.Now().Year() != 2027 {
		t.Error("a jump ahead holds the time", ca.Now())
	}
}
