package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"edgeshadow/localshadow/shadow"
	"edgeshadow/test/clocktest"
	"edgeshadow/test/porttest"
)

const decade = 10 * 365 * 24 * time.Hour

// TestRun_ClockJumps: the daemon's clock jumps by ten years, ahead and back to
// before its certificates begin, while it runs and while it does not. Devices
// stay and come; sessions and retained messages last; nothing expires that counts
// its time; and a certificate that ends is judged by the last good time.
func TestRun_ClockJumps(t *testing.T) {
	dir := t.TempDir()
	o := mustRunOdd(t, dir, 0)
	lamp, stays := o.mustEnroll(t, "lamp"), o.mustConnect(t, "stays", o.mustEnroll(t, "stays"))
	before, err := o.Token(t.Context(), "pump", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := o.CreateKey(t.Context(), []string{"all"}, time.Hour); err != nil {
		t.Fatal(err)
	}
	if _, err := o.CreateThing(t.Context(), "door", "", nil); err != nil {
		t.Fatal(err)
	}
	c := o.mustConnect(t, "lamp", lamp)
	c.must(t, c.Subscribe("cmd/lamp/#", 1, nil))
	c.must(t, c.Publish("dt/lamp/kept", 1, true, "kept"))
	c.Disconnect(100)

	version := 0
	check := func(t *testing.T, by time.Duration) {
		if _, err := o.Update(t.Context(), shadow.ID{Thing: "lamp"}, []byte(`{"state":{"reported":{"on":true}}}`)); err != nil {
			t.Fatal(err)
		}
		version++
		text, err := o.Get(t.Context(), shadow.ID{Thing: "lamp"})
		if err != nil {
			t.Fatal(err)
		}
		var doc struct{ Version, Timestamp int64 }
		if err := json.Unmarshal(text, &doc); err != nil || doc.Version != int64(version) {
			t.Errorf("%s %v, want version %d", text, err, version)
		}
		if off := time.Until(time.Unix(doc.Timestamp, 0)) - by; off.Abs() > time.Hour {
			t.Fatalf("the daemon's clock is %s from where it was put", off)
		}
		// Of a session that lasts, and retained for whoever comes.
		local := mustDial(t, "tcp://"+o.plain, "local", nil)
		local.must(t, local.Publish("cmd/lamp/go", 1, false, "x"))
		c := o.mustConnect(t, "lamp", lamp)
		c.mustHear(t, "cmd/lamp/go")
		c.must(t, c.Subscribe("dt/lamp/kept", 1, nil))
		c.mustHear(t, "dt/lamp/kept")
		c.must(t, c.Unsubscribe("dt/lamp/kept"))
		c.Disconnect(100)
		o.mustConnect(t, "new", o.mustEnroll(t, "new")).Disconnect(100)
		if e, err := o.Entry(t.Context(), "door"); err != nil || e.Version != 1 {
			t.Errorf("the entry is %+v, %v", e, err)
		}
		if keys, err := o.Keys(t.Context()); err != nil || len(keys) != 1 {
			t.Errorf("keys %+v, %v", keys, err)
		}
		if err := o.handshake(o.forge(t, "lamp", -2, -1)); err == nil {
			t.Error("a certificate that ended last year comes in")
		}
	}
	live := func(name string, by time.Duration) {
		t.Run(name, func(t *testing.T) {
			if err := o.clock.Shift(by); err != nil {
				t.Fatal(err)
			}
			check(t, by)
			stays.must(t, stays.Publish("dt/stays/x", 1, false, name))
			if s, err := o.Status(t.Context()); err != nil || strings.HasPrefix(s.Clock, "clock not set: ") != (by < 0) {
				t.Errorf("status says %q of the clock, %v", s.Clock, err)
			}
		})
	}
	restarted := func(name string, by time.Duration) {
		o.stop(t)
		o = mustRunOdd(t, dir, by)
		t.Run(name, func(t *testing.T) { check(t, by) })
	}

	live("now", 0)
	live("ahead", decade)
	o.mustRedeem(t, before.Token)
	live("back", -decade)
	if err := o.handshake(o.forge(t, "lamp", -1, 1)); err != nil {
		t.Errorf("a certificate of this year, without a clock: %v", err)
	}
	restarted("started back", -decade)
	if err := o.handshake(o.forge(t, "lamp", -1, 1)); err != nil {
		t.Errorf("a certificate of this year, after a start without a clock: %v", err)
	}
	unset := o
	restarted("started ahead", decade)
	if log := unset.log.String(); !strings.Contains(log, "clock not set: this machine thinks that it is ") {
		t.Error("a clock that is not set is not told")
	}
	restarted("started right again", 0)
	o.stop(t)
}

// odd is a daemon with a clock of its own; those who talk to it have the right one.
type odd struct {
	*daemon
	clock              *clocktest.Clock
	plain, mqtt, https string
	ca                 tls.Certificate
}

func mustRunOdd(tb testing.TB, dir string, by time.Duration) *odd {
	tb.Helper()
	o := &odd{plain: porttest.MustFindAddress(tb), mqtt: porttest.MustFindAddress(tb), https: porttest.MustFindAddress(tb)}
	listeners := fmt.Sprintf("{address: %q}, {address: %q, tls: auto, auth: [certificate]}, {address: %q, protocol: http, tls: auto}",
		o.plain, o.mqtt, o.https)
	o.daemon = mustRun(tb, dir, listeners, "registry: {expire_after: {things: 1h, shadows: 1h}}\n", func(cmd *exec.Cmd) {
		o.clock = clocktest.MustStart(tb, cmd, by)
	})
	pki := filepath.Join(dir, "data/pki")
	var err error
	if o.ca, err = tls.LoadX509KeyPair(filepath.Join(pki, "ca.crt"), filepath.Join(pki, "ca.key")); err != nil {
		tb.Fatal(err)
	}
	return o
}

func (o *odd) tls(show ...tls.Certificate) *tls.Config {
	roots := x509.NewCertPool()
	roots.AddCert(o.ca.Leaf)
	return &tls.Config{RootCAs: roots, Certificates: show}
}

func (o *odd) mustEnroll(tb testing.TB, thing string) tls.Certificate {
	tb.Helper()
	b, err := o.Enroll(tb.Context(), thing, false)
	if err != nil {
		tb.Fatal(err)
	}
	pair, err := tls.X509KeyPair([]byte(b.Certificate), []byte(b.Key))
	if err != nil {
		tb.Fatal(err)
	}
	return pair
}

// forge is a certificate of the daemon's CA that is valid between two years,
// counted from now.
func (o *odd) forge(tb testing.TB, name string, from, to int) tls.Certificate {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: name}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		NotBefore: time.Now().AddDate(from, 0, 0), NotAfter: time.Now().AddDate(to, 0, 0),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, o.ca.Leaf, &key.PublicKey, o.ca.PrivateKey)
	if err != nil {
		tb.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// handshake tells whether a certificate is let in; TLS 1.2 says so at once.
func (o *odd) handshake(pair tls.Certificate) error {
	cfg := o.tls(pair)
	cfg.MaxVersion = tls.VersionTLS12
	c, err := tls.Dial("tcp", o.mqtt, cfg)
	if err != nil {
		return err
	}
	return c.Close()
}

// mustRedeem trades a token.
func (o *odd) mustRedeem(tb testing.TB, token string) {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		tb.Fatal(err)
	}
	r, err := http.NewRequestWithContext(tb.Context(), http.MethodPost, "https://"+o.https+"/enroll",
		bytes.NewReader(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})))
	if err != nil {
		tb.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: o.tls()}}
	defer client.CloseIdleConnections()
	resp, err := client.Do(r)
	if err != nil {
		tb.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		tb.Errorf("a token of an hour: %s", resp.Status)
	}
}

// visitor is one that is connected, in a session that lasts.
type visitor struct {
	mqtt.Client
	heard chan string // topics
}

func (o *odd) mustConnect(tb testing.TB, thing string, pair tls.Certificate) visitor {
	tb.Helper()
	return mustDial(tb, "ssl://"+o.mqtt, thing, o.tls(pair))
}

func mustDial(tb testing.TB, url, id string, cfg *tls.Config) visitor {
	tb.Helper()
	d := visitor{heard: make(chan string, 16)}
	d.Client = mqtt.NewClient(mqtt.NewClientOptions().AddBroker(url).SetClientID(id).SetTLSConfig(cfg).
		SetCleanSession(false).SetAutoReconnect(false).SetConnectTimeout(patience).
		SetDefaultPublishHandler(func(_ mqtt.Client, m mqtt.Message) { d.heard <- m.Topic() }))
	tb.Cleanup(func() { d.Disconnect(0) })
	d.must(tb, d.Connect())
	return d
}

func (d visitor) must(tb testing.TB, token mqtt.Token) {
	tb.Helper()
	if !token.WaitTimeout(patience) || token.Error() != nil {
		tb.Fatalf("not in %s, or refused: %v", patience, token.Error())
	}
}

func (d visitor) mustHear(tb testing.TB, topic string) {
	tb.Helper()
	select {
	case got := <-d.heard:
		if got != topic {
			tb.Fatalf("heard %s, want %s", got, topic)
		}
	case <-time.After(patience):
		tb.Fatalf("%s is not heard", topic)
	}
}
