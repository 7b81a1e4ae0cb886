package gateway_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"edgeshadow/cmd/gateway"
	"edgeshadow/localshadow/access"
	"edgeshadow/localshadow/shadow"
)

// lines is a log that a test looks through.
type lines struct {
	mu  sync.Mutex
	all []string
}

func (l *lines) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, string(bytes.TrimSpace(line)))
	return len(line), nil
}

func (l *lines) since(n int) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.all[n:]...)
}

// prison is a gateway with a lamp, which tries to get out of its own, and a
// safe, which has what it must not see.
type prison struct {
	running
	tb    testing.TB
	dir   string
	log   *lines
	ca    *x509.Certificate
	caKey any
	roots *x509.CertPool
	lamp  tls.Certificate
	safe  mqtt.Client
	heard chan string // by the safe
}

func mustLock(t *testing.T) *prison {
	dir := t.TempDir()
	cfg := MustLoad(t, dir, `
broker:
  listeners:
    - {address: "127.0.0.1:0", tls: auto, auth: [certificate]}
    - {address: "127.0.0.1:0", protocol: http, tls: auto, auth: [certificate]}
`)
	p := &prison{tb: t, dir: dir, log: &lines{}, heard: make(chan string, 64)}
	p.running = MustRunWith(t, dir, cfg, gateway.Options{Log: slog.New(slog.NewTextHandler(p.log, nil))})
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, "data/pki/ca.crt"), filepath.Join(dir, "data/pki/ca.key"))
	if err != nil {
		t.Fatal(err)
	}
	p.ca, p.caKey, p.roots = pair.Leaf, pair.PrivateKey, x509.NewCertPool()
	p.roots.AddCert(p.ca)
	p.lamp = p.mustEnroll("lamp")
	p.safe, err = p.connect(p.mustEnroll("safe"), "safe", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.safe.Disconnect(0) })
	for _, filter := range []string{"$aws/things/safe/shadow/#", "dt/safe/#", "cmd/safe/#"} {
		if token := p.safe.Subscribe(filter, 1, func(_ mqtt.Client, m mqtt.Message) { p.heard <- m.Topic() }); token.Wait() && token.Error() != nil {
			t.Fatal(token.Error())
		}
	}
	if token := p.safe.Publish("dt/safe/code", 1, true, "1234"); token.Wait() && token.Error() != nil {
		t.Fatal(token.Error())
	}
	if _, err := p.Service().Update(t.Context(), shadow.ID{Thing: "safe"}, []byte(`{"state":{"reported":{"code":1234}}}`)); err != nil {
		t.Fatal(err)
	}
	await(t, "the safe hears itself", func() bool { return len(p.heard) == 3 }) // retained, documents, accepted
	for len(p.heard) > 0 {
		<-p.heard
	}
	return p
}

func (p *prison) mustEnroll(thing string) tls.Certificate {
	p.tb.Helper()
	b, err := p.Gateway.Enroll(p.tb.Context(), thing)
	if err != nil {
		p.tb.Fatal(err)
	}
	return mustPair(p.tb, b)
}

func mustPair(tb testing.TB, b access.Bundle) tls.Certificate {
	tb.Helper()
	pair, err := tls.X509KeyPair([]byte(b.Certificate), []byte(b.Key))
	if err != nil {
		tb.Fatal(err)
	}
	return pair
}

// forge makes a certificate by an authority; a nil one signs itself.
func (p *prison) forge(name string, by *tls.Certificate, change func(*x509.Certificate)) tls.Certificate {
	p.tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		p.tb.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: name}, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	if change != nil {
		change(template)
	}
	parent, signer := template, any(key)
	if by != nil {
		parent, signer = by.Leaf, by.PrivateKey
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		p.tb.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		p.tb.Fatal(err)
	}
	chain := [][]byte{der}
	if by != nil && by.Leaf != p.ca {
		chain = append(chain, by.Leaf.Raw)
	}
	return tls.Certificate{Certificate: chain, PrivateKey: key, Leaf: leaf}
}

func (p *prison) ours() *tls.Certificate {
	return &tls.Certificate{Leaf: p.ca, PrivateKey: p.caKey}
}

func (p *prison) tls(pair tls.Certificate) *tls.Config {
	// The certificate is shown whatever the server asks for.
	return &tls.Config{RootCAs: p.roots, GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }}
}

func (p *prison) connect(pair tls.Certificate, id string, set func(*mqtt.ClientOptions)) (mqtt.Client, error) {
	o := mqtt.NewClientOptions().AddBroker("ssl://" + p.Addrs()[0].String()).SetClientID(id).SetTLSConfig(p.tls(pair)).
		SetAutoReconnect(false).SetConnectRetry(false).SetConnectTimeout(patience)
	o.SetProtocolVersion(4)
	if set != nil {
		set(o)
	}
	c := mqtt.NewClient(o)
	token := c.Connect()
	if !token.WaitTimeout(patience) {
		return nil, context.DeadlineExceeded
	}
	return c, token.Error()
}

// TestEscapes: nothing that belongs to another thing is seen, changed or said in
// its name. Each attempt has one line in the log; the same once more is counted.
func TestEscapes(t *testing.T) {
	p := mustLock(t)
	before, err := p.Service().Document(shadow.ID{Thing: "safe"})
	if err != nil {
		t.Fatal(err)
	}
	attempt := func(name string, try func(t *testing.T)) {
		t.Run(name, func(t *testing.T) {
			n, counted := len(p.log.since(0)), p.denied(t)
			try(t)
			var told []string
			await(t, "a line of the log, or one more of the same", func() bool {
				told = nil
				for _, line := range p.log.since(n) {
					if strings.Contains(line, "refused") || strings.Contains(line, "violation") || strings.Contains(line, "withheld") {
						told = append(told, line)
					}
				}
				return len(told) > 0 || p.denied(t) > counted
			})
			if len(told) > 1 {
				t.Errorf("%d lines:\n%s", len(told), strings.Join(told, "\n"))
			}
		})
	}

	lamp := func(t *testing.T) mqtt.Client {
		c, err := p.connect(p.lamp, "lamp", nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Disconnect(0) })
		return c
	}
	for name, topic := range map[string]string{
		"update": "$aws/things/safe/shadow/update", "delete": "$aws/things/safe/shadow/delete", "get": "$aws/things/safe/shadow/get",
		"named shadow": "$aws/things/safe/shadow/name/x/update", "accepted": "$aws/things/safe/shadow/update/accepted",
		"dots": "$aws/things/lamp/../safe/shadow/update", "percent": "$aws/things/s%61fe/shadow/update", "event": "$aws/events/presence/connected/safe",
		"command": "cmd/safe/open", "prefix": "dt/lampshade/x", "other case": "DT/lamp/x", "empty level": "dt//lamp/x", "wildcard": "cmd/+/open",
	} {
		attempt("publish/"+name, func(t *testing.T) {
			c := lamp(t)
			token := c.Publish(topic, 1, false, `{"state":{"desired":{"open":true}}}`)
			if token.WaitTimeout(patience) && token.Error() == nil && c.IsConnectionOpen() {
				t.Error("published")
			}
		})
	}
	attempt("publish/retained", func(t *testing.T) {
		lamp(t).Publish("dt/safe/code", 1, true, "0000").WaitTimeout(patience)
	})

	for i, filter := range []string{
		"$aws/things/safe/shadow/#", "$aws/things/+/shadow/#", "$aws/things/+/shadow/update/accepted", "$aws/things/safe/shadow/update/documents",
		"$aws/#", "$aws/+/safe/#", "$SYS/#", "#", "+/#", "+/safe/#", "dt/+/code", "dt/#", "dt/safe/code", "cmd/#", "/#",
		"$share/g/dt/safe/#", "$SHARE/g/#", "$share/g/$aws/things/safe/shadow/#", "$share/lamp/dt/+/code",
	} {
		attempt(fmt.Sprintf("subscribe/%d", i), func(t *testing.T) {
			c := lamp(t)
			token := c.Subscribe(filter, 1, func(_ mqtt.Client, m mqtt.Message) { t.Errorf("%s received by %s", m.Topic(), filter) })
			token.WaitTimeout(patience)
			for _, code := range token.(*mqtt.SubscribeToken).Result() { // by a name of the library's choice
				if token.Error() == nil && code < 0x80 {
					t.Errorf("%s is granted", filter)
				}
			}
		})
	}

	for name, topic := range map[string]string{"topic": "cmd/safe/open", "shadow": "$aws/things/safe/shadow/update"} {
		attempt("will/"+name, func(t *testing.T) {
			if c, err := p.connect(p.lamp, "lamp", func(o *mqtt.ClientOptions) { o.SetWill(topic, "x", 1, false) }); err == nil {
				c.Disconnect(0)
				t.Error("connected")
			}
		})
	}
	attempt("will/retained", func(t *testing.T) {
		if _, err := p.connect(p.lamp, "lamp", func(o *mqtt.ClientOptions) { o.SetWill("dt/safe/code", "x", 1, true) }); err == nil {
			t.Error("connected")
		}
	})

	for name, id := range map[string]string{"another's": "safe", "plus": "+", "hash": "#", "star": "*", "slash": "lamp/x", "longer": "lamp2", "none": ""} {
		attempt("client id/"+name, func(t *testing.T) {
			if c, err := p.connect(p.lamp, id, nil); err == nil {
				c.Disconnect(0)
				t.Error("connected")
			}
		})
	}

	foreign := p.forge("foreign CA", nil, func(c *x509.Certificate) { c.IsCA, c.BasicConstraintsValid = true, true })
	for name, pair := range map[string]tls.Certificate{
		"foreign CA":     p.forge("lamp", &foreign, nil),
		"self-signed":    p.forge("lamp", nil, nil),
		"expired":        p.forge("lamp", p.ours(), func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }),
		"not yet":        p.forge("lamp", p.ours(), func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Hour) }),
		"by the lamp":    p.forge("safe", &p.lamp, nil),
		"for a server":   p.forge("lamp", p.ours(), func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }),
		"without a name": p.forge("", p.ours(), nil),
		"plus":           p.forge("+", p.ours(), nil),
		"hash":           p.forge("#", p.ours(), nil),
		"star":           p.forge("*", p.ours(), nil),
		"slash":          p.forge("lamp/../safe", p.ours(), nil),
		"question mark":  p.forge("saf?", p.ours(), nil),
		"variable":       p.forge("${iot:ClientId}", p.ours(), nil),
	} {
		attempt("certificate/"+name, func(t *testing.T) {
			if c, err := p.connect(pair, pair.Leaf.Subject.CommonName, nil); err == nil {
				c.Disconnect(0)
				t.Error("connected")
			}
		})
	}

	for name, target := range map[string]string{
		"get": "GET /things/safe/shadow", "update": "POST /things/safe/shadow", "delete": "DELETE /things/safe/shadow", "named": "GET /things/safe/shadow?name=x",
		"percent": "GET /things/%73afe/shadow", "list": "GET /api/things/shadow/ListNamedShadowsForThing/safe",
		"topic": "POST /topics/cmd/safe/open?qos=1", "encoded topic": "POST /topics/cmd%2Fsafe%2Fopen", "shadow topic": "POST /topics/$aws/things/safe/shadow/update",
		"retained": "GET /retainedMessage/dt%2Fsafe%2Fcode", "all retained": "GET /retainedMessage", "close": "DELETE /connections/safe",
		"thing": "GET /things/safe", "put thing": "PUT /things/safe", "delete thing": "DELETE /things/safe", "things": "GET /things",
	} {
		attempt("rest/"+name, func(t *testing.T) {
			if status, body := p.request(t, p.lamp, target); status != http.StatusForbidden {
				t.Errorf("%d %s", status, body)
			}
		})
	}
	for name, target := range map[string]string{ // nothing that is anything
		"dots": "GET /things/lamp/../safe/shadow", "encoded dots": "GET /things/lamp%2F..%2Fsafe/shadow", "double percent": "GET /things/%2573afe/shadow",
		"encoded name": "GET /things/safe%2Fshadow/shadow", "dots in a thing": "GET /things/..%2Fsafe",
	} {
		t.Run("rest/"+name, func(t *testing.T) {
			if status, body := p.request(t, p.lamp, target); status < 400 || strings.Contains(body, "1234") {
				t.Errorf("%d %s", status, body)
			}
		})
	}
	attempt("rest/foreign CA", func(t *testing.T) {
		if status, _ := p.request(t, p.forge("lamp", &foreign, nil), "GET /things/lamp/shadow"); status == 200 {
			t.Error("in")
		}
	})
	attempt("rest/no certificate", func(t *testing.T) {
		if status, _ := p.request(t, tls.Certificate{}, "GET /things/lamp/shadow"); status != 401 {
			t.Error(status)
		}
	})

	t.Run("its own is open", func(t *testing.T) {
		c := lamp(t)
		for _, topic := range []string{"$aws/things/lamp/shadow/update", "dt/lamp/x", "cmd/lamp/x"} {
			if token := c.Publish(topic, 1, false, `{"state":{"reported":{"on":true}}}`); !token.WaitTimeout(patience) || token.Error() != nil {
				t.Errorf("%s: %v", topic, token.Error())
			}
		}
		for _, filter := range []string{"$aws/things/lamp/shadow/#", "dt/lamp/#", "cmd/lamp/#", "$share/g/cmd/lamp/#"} {
			if token := c.Subscribe(filter, 1, nil); !token.WaitTimeout(patience) || token.Error() != nil {
				t.Errorf("%s: %v", filter, token.Error())
			}
		}
		if status, body := p.request(t, p.lamp, "GET /things/lamp/shadow"); status != 200 {
			t.Errorf("%d %s", status, body)
		}
	})
	t.Run("revoked", func(t *testing.T) {
		c := lamp(t)
		if _, err := p.Revoke(t.Context(), "lamp"); err != nil {
			t.Fatal(err)
		}
		await(t, "the live connection ends", func() bool { return !c.IsConnectionOpen() })
	})
	attempt("revoked again", func(t *testing.T) {
		if _, err := p.connect(p.lamp, "lamp", nil); err == nil {
			t.Error("connected")
		}
	})

	if !p.safe.IsConnectionOpen() {
		t.Error("the safe was thrown out")
	}
	for len(p.heard) > 0 {
		t.Errorf("the safe heard %s", <-p.heard)
	}
	after, err := p.Service().Document(shadow.ID{Thing: "safe"})
	if err != nil || after == nil || after.Version != before.Version {
		t.Errorf("the safe's shadow is %+v", after)
	}
}

// denied is how often something was refused.
func (p *prison) denied(t *testing.T) (n uint64) {
	all, err := p.Denied(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range all {
		n += d.Count
	}
	return n
}

// request sends one over HTTPS; status 0: it was not answered.
func (p *prison) request(t *testing.T, pair tls.Certificate, target string) (status int, body string) {
	t.Helper()
	method, path, _ := strings.Cut(target, " ")
	r, err := http.NewRequestWithContext(t.Context(), method, "https://"+p.Addrs()[1].String()+"/", strings.NewReader(`{"state":{}}`))
	if err != nil {
		t.Fatal(err)
	}
	r.URL.Opaque = "//" + p.Addrs()[1].String() + path // as it is, not cleaned
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: p.tls(pair)}}
	defer client.CloseIdleConnections()
	resp, err := client.Do(r)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}
