package broker_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"github.com/google/go-cmp/cmp"
	"github.com/gorilla/websocket"

	"edgeshadow/localshadow/access"
	"edgeshadow/localshadow/broker"
	"edgeshadow/test/shadowtest"
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

func at(url string, config *tls.Config) func(*mqtt.ClientOptions) {
	return func(o *mqtt.ClientOptions) {
		o.Servers = nil
		o.AddBroker(url).SetTLSConfig(config)
	}
}

var all = []string{access.Certificate, access.Anonymous}

// The same client, over each protocol.
func TestListener_Protocols(t *testing.T) {
	ca := MustOpenCA(t)
	socket := filepath.Join(t.TempDir(), "mqtt.sock")
	service := shadowtest.MustOpenService(t, nil)
	r := &rules{}
	auto := &broker.TLS{Auto: true}
	b := mustRun(t, broker.Config{Listeners: []broker.Listener{
		{Address: "127.0.0.1:0"},
		{Address: "127.0.0.1:0", TLS: auto, Auth: all},
		{Address: "127.0.0.1:0", Protocol: broker.WS},
		{Address: "127.0.0.1:0", Protocol: broker.WS, TLS: auto, Auth: all},
		{Address: socket, Protocol: broker.Unix},
	}}, service, ca, func(b *broker.Broker) { b.Access = r })
	service.Publisher = b
	address := func(i int) string { return b.Addrs()[i].String() }
	lampTLS := mustEnroll(t, ca, "lamp")
	for i, tt := range []struct {
		name, url   string
		certificate string
	}{
		{"mqtt", "tcp://" + address(0), ""},
		{"mqtts", "ssl://" + address(1), "lamp"},
		{"ws", "ws://" + address(2) + "/mqtt", ""},
		{"wss", "wss://" + address(3) + "/any/path", "lamp"},
		{"unix", "unix://" + socket, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := mustConnect(t, b, tt.name, at(tt.url, lampTLS))
			c.mustSubscribe(t, lamp+"/update/accepted")
			payload := `{"state":{"reported":{"blob":"` + strings.Repeat("x", 4096) + `"}},"clientToken":"t"}`
			c.mustPublish(t, lamp+"/update", 1, payload)
			if got := c.nextOn(t, lamp+"/update/accepted"); !strings.HasSuffix(got, `"clientToken":"t"}`) {
				t.Errorf("accepted: %s", got)
			}
			shown := r.shown[i]
			name := ""
			if shown.Certificate != nil {
				name = shown.Certificate.Subject.CommonName
			}
			if name != tt.certificate || (shown.Request != nil) != strings.HasPrefix(tt.name, "ws") {
				t.Errorf("shown: certificate %q, request %v", name, shown.Request)
			}
		})
	}
}

// What comes over a WebSocket may be cut anywhere [MQTT-6.0.0-2], and is binary
// [MQTT-6.0.0-1].
func TestListener_WebSocketFrames(t *testing.T) {
	service := shadowtest.MustOpenService(t, nil)
	b := MustRun(t, broker.Config{Listeners: []broker.Listener{{Address: "127.0.0.1:0", Protocol: broker.WS}}}, service, nil)
	dial := func() *websocket.Conn {
		t.Helper()
		d := websocket.Dialer{Subprotocols: []string{"mqtt"}}
		ws, answer, err := d.Dial("ws://"+b.Addrs()[0].String()+"/mqtt", nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = ws.Close() })
		if got := answer.Header.Get("Sec-WebSocket-Protocol"); got != "mqtt" { // [MQTT-6.0.0-4]
			t.Errorf("subprotocol %q", got)
		}
		return ws
	}
	body := connect(v3, "cut", clean)
	packet := append([]byte{0x10, byte(len(body))}, body...)
	packet = append(packet, pingreq, 0)

	ws := dial()
	for _, b := range packet {
		if err := ws.WriteMessage(websocket.BinaryMessage, []byte{b}); err != nil {
			t.Fatal(err)
		}
	}
	var got []byte
	for len(got) < 6 {
		kind, message, err := ws.ReadMessage()
		if err != nil || kind != websocket.BinaryMessage {
			t.Fatal(kind, err)
		}
		got = append(got, message...)
	}
	if diff := cmp.Diff([]byte{connack, 2, 0, 0, pingresp, 0}, got); diff != "" {
		t.Errorf("answers (-want +got):\n%s", diff)
	}

	old := websocket.Dialer{Subprotocols: []string{"mqttv3.1"}}
	if other, answer, err := old.Dial("ws://"+b.Addrs()[0].String()+"/mqtt", nil); err != nil || answer.Header.Get("Sec-WebSocket-Protocol") != "mqttv3.1" {
		t.Errorf("AWS device SDK v1 is refused: %v", err)
	} else {
		_ = other.Close()
	}

	ws = dial()
	if err := ws.WriteMessage(websocket.TextMessage, packet); err != nil {
		t.Fatal(err)
	}
	if kind, message, err := ws.ReadMessage(); err == nil {
		t.Errorf("text is answered: %d %x", kind, message)
	}
}

// A page that a browser shows can't use what listens for this machine alone.
func TestListener_ForeignPages(t *testing.T) {
	service := shadowtest.MustOpenService(t, nil)
	b := mustRun(t, broker.Config{Listeners: []broker.Listener{
		{Address: "127.0.0.1:0", Protocol: broker.WS},
		{Address: "127.0.0.1:0", Protocol: broker.HTTP},
	}}, service, nil, func(b *broker.Broker) {
		b.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, broker.PrincipalOf(r.Context()).Name())
		})
	})
	for origin, want := range map[string]int{
		"": 0, "http://localhost:8080": 0, "http://127.0.0.1": 0, "http://[::1]:1": 0,
		"https://evil.example": http.StatusForbidden, "null": http.StatusForbidden, "http://10.0.0.1": http.StatusForbidden,
	} {
		header := http.Header{}
		if origin != "" {
			header.Set("Origin", origin)
		}
		_, answer, err := websocket.DefaultDialer.Dial("ws://"+b.Addrs()[0].String()+"/mqtt", header)
		if wanted := max(want, http.StatusSwitchingProtocols); answer == nil || answer.StatusCode != wanted {
			t.Errorf("ws, %q: %v, want %d", origin, err, wanted)
		}
		r, _ := http.NewRequest("GET", "http://"+b.Addrs()[1].String()+"/x", nil)
		r.Header = header
		got, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = got.Body.Close()
		if wanted := max(want, http.StatusOK); got.StatusCode != wanted {
			t.Errorf("http, %q: %d, want %d", origin, got.StatusCode, wanted)
		}
	}
}

// What a page of another site sends is refused on any listener, with the
// certificate that the browser may show for it.
func TestListener_CrossOrigin(t *testing.T) {
	b := mustRun(t, broker.Config{Listeners: []broker.Listener{
		{Address: ":0", Protocol: broker.HTTP, Auth: []string{access.Anonymous}, Insecure: true},
	}}, newHeld(), nil, func(b *broker.Broker) {
		b.Handler = http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	})
	_, port, err := net.SplitHostPort(b.Addrs()[0].String())
	if err != nil {
		t.Fatal(err)
	}
	host := "127.0.0.1:" + port
	for _, tt := range []struct {
		name, value string
		want        int
	}{
		{"X-None", "", 200}, {"Origin", "http://" + host, 200}, {"Origin", "https://evil.example", 403},
		{"Sec-Fetch-Site", "cross-site", 403}, {"Sec-Fetch-Site", "same-origin", 200},
	} {
		r, _ := http.NewRequest("POST", "http://"+host+"/topics/x", nil)
		r.Header.Set(tt.name, tt.value)
		got, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = got.Body.Close()
		if got.StatusCode != tt.want {
			t.Errorf("%s: %s: %d, want %d", tt.name, tt.value, got.StatusCode, tt.want)
		}
	}
}

// A request without what the listener wants never comes to the handler.
func TestListener_Unauthorized(t *testing.T) {
	ca := MustOpenCA(t)
	service := shadowtest.MustOpenService(t, nil)
	b := mustRun(t, broker.Config{Listeners: []broker.Listener{
		{Address: "127.0.0.1:0", Protocol: broker.HTTP, TLS: &broker.TLS{Auto: true}, Auth: []string{access.Certificate}},
	}}, service, ca, func(b *broker.Broker) {
		b.Access = denying{}
		b.Handler = http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the handler is asked") })
	})
	for _, thing := range []string{"lamp", ""} { // without a certificate too
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: mustEnroll(t, ca, thing)}}
		defer client.CloseIdleConnections()
		got, err := client.Get("https://" + b.Addrs()[0].String() + "/things/lamp/shadow")
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(got.Body)
		_ = got.Body.Close()
		if got.StatusCode != 401 || got.Header.Get("x-amzn-ErrorType") != "UnauthorizedException" || string(body) != `{"code":401,"message":"Unauthorized"}` {
			t.Errorf("%q: %d %v %s", thing, got.StatusCode, got.Header, body)
		}
	}
}

// A public request is served whoever sends it; the others still need somebody.
func TestListener_Public(t *testing.T) {
	ca := MustOpenCA(t)
	b := mustRun(t, broker.Config{Listeners: []broker.Listener{
		{Address: "127.0.0.1:0", Protocol: broker.HTTP, TLS: &broker.TLS{Auto: true}, Auth: []string{access.Certificate}},
	}}, shadowtest.MustOpenService(t, nil), ca, func(b *broker.Broker) {
		b.Public = http.NewServeMux()
		b.Public.HandleFunc("GET /enroll", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "come in") })
	})
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: mustEnroll(t, ca, "")}}
	defer client.CloseIdleConnections()
	for path, want := range map[string]int{"/enroll": 200, "/enrol": 404, "/things/a/shadow": 404} {
		got, err := client.Get("https://" + b.Addrs()[0].String() + path)
		if err != nil {
			t.Fatal(err)
		}
		_ = got.Body.Close()
		if got.StatusCode != want {
			t.Errorf("%s: %d, want %d", path, got.StatusCode, want)
		}
	}
}

type denying struct{}

func (denying) Authenticate(access.Credentials) (broker.Principal, error) { return nil, io.EOF }
func (denying) Barred(_, _, _, _ string)                                  {}

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

// Certificates are swapped, listeners come and go, and nobody whose listener
// stays notices.
func TestBroker_Prepare(t *testing.T) {
	one, two := MustOpenCA(t), MustOpenCA(t)
	files := t.TempDir()
	own := func(ca *access.CA) {
		pair, err := ca.ServerCertificate(nil)
		if err != nil {
			t.Fatal(err)
		}
		mustWritePair(t, files, pair)
		mustWrite(t, filepath.Join(files, "ca.crt"), ca.PEM())
	}
	own(one)
	secured := broker.Listener{Address: mustFree(t), TLS: &broker.TLS{
		Certificate: filepath.Join(files, "s.crt"), Key: filepath.Join(files, "s.key"), ClientCA: filepath.Join(files, "ca.crt"),
	}, Auth: []string{access.Certificate}}
	plain := broker.Listener{Address: mustFree(t)}
	b := MustRun(t, broker.Config{Listeners: []broker.Listener{secured, plain}}, newHeld(), nil)

	old := mustConnect(t, b, "old", at("ssl://"+secured.Address, mustEnroll(t, one, "old")))
	leaving := mustConnect(t, b, "leaving", at("tcp://"+plain.Address, nil))

	// What can't be done changes nothing.
	if _, _, err := b.Prepare(broker.Config{Listeners: []broker.Listener{{Address: mustFree(t)}, {Address: "192.0.2.1:1"}}}); err == nil {
		t.Fatal("an address of another machine is bound")
	}
	fresh := broker.Listener{Address: mustFree(t)}
	cfg := broker.Config{Listeners: []broker.Listener{fresh, secured}}
	_, discard, err := b.Prepare(cfg)
	if err != nil {
		t.Fatal(err)
	}
	discard()
	if c, err := net.Dial("tcp", fresh.Address); err == nil {
		_ = c.Close()
		t.Error("a discarded listener listens")
	}

	own(two)
	commit, _, err := b.Prepare(cfg)
	if err != nil {
		t.Fatal(err)
	}
	commit()
	mustConnect(t, b, "new", at("ssl://"+secured.Address, mustEnroll(t, two, "new")))
	mustConnect(t, b, "fresh", at("tcp://"+fresh.Address, nil))
	if token := newClient(b, "stranger", at("ssl://"+secured.Address, mustEnroll(t, one, "stranger"))).Connect(); !token.WaitTimeout(patience) || token.Error() == nil {
		t.Error("a client of the old authority is in")
	}
	if c, err := net.Dial("tcp", plain.Address); err == nil {
		_ = c.Close()
		t.Error("a listener that is gone listens")
	}
	old.mustSubscribe(t, "x") // and is as it was
	if got, want := []string{b.Addrs()[0].String(), b.Addrs()[1].String()}, []string{fresh.Address, secured.Address}; !cmp.Equal(got, want) {
		t.Errorf("addresses %q, want %q", got, want)
	}
	awaitStats(t, b, "rid of the client whose listener is gone", func(broker.Stats) bool { return !leaving.IsConnectionOpen() })
}

// A listener may be widened to every address, and narrowed again: the sockets
// overlap for a moment.
func TestBroker_PrepareOverlap(t *testing.T) {
	narrow := broker.Listener{Address: mustFree(t)}
	_, port, err := net.SplitHostPort(narrow.Address)
	if err != nil {
		t.Fatal(err)
	}
	wide := broker.Listener{Address: ":" + port, Auth: []string{access.Anonymous}, Insecure: true}
	with := func(l broker.Listener) broker.Config { return broker.Config{Listeners: []broker.Listener{l}} }
	b := MustRun(t, with(narrow), newHeld(), nil)
	_, discard, err := b.Prepare(with(wide))
	if err != nil {
		t.Fatal(err)
	}
	discard()
	mustConnect(t, b, "narrow", at("tcp://"+narrow.Address, nil))
	for i, l := range []broker.Listener{wide, narrow} {
		commit, _, err := b.Prepare(with(l))
		if err != nil {
			t.Fatal(err)
		}
		commit()
		mustConnect(t, b, fmt.Sprint(i), at("tcp://"+narrow.Address, nil))
	}
	// Afterwards it is taken again, for us too.
	if err := broker.New(with(narrow), newHeld(), nil, nil).Listen(); err == nil {
		t.Error("an address is bound twice")
	}
	if err := broker.New(with(wide), newHeld(), nil, nil).Listen(); err == nil {
		t.Error("an address is bound beside another")
	}
}

func mustFree(tb testing.TB) string {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

func mustWrite(tb testing.TB, path string, data []byte) {
	tb.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		tb.Fatal(err)
	}
}

// A socket that a killed daemon left is replaced; that of a running one is not.
func TestListener_UnixSocketLeft(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mqtt.sock")
	left, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	cfg := broker.Config{Listeners: []broker.Listener{{Address: path, Protocol: broker.Unix}}}
	if err := broker.New(cfg, newHeld(), nil, nil).Listen(); err == nil {
		t.Fatal("the socket of a running process is taken")
	}
	left.SetUnlinkOnClose(false)
	_ = left.Close()
	b := MustRun(t, cfg, newHeld(), nil)
	mustConnect(t, b, "local", at("unix://"+path, nil))
	if i, err := os.Stat(path); err != nil || i.Mode().Perm() != 0o660 {
		t.Errorf("%v %v", i, err)
	}
}

// A peer that dribbles a request does not hold its place for long; one that
// sends nothing more after the end of the broker does not hold that up.
func TestListener_RequestsUnderWayAtTheEnd(t *testing.T) {
	b := broker.New(broker.Config{Listeners: []broker.Listener{{Address: "127.0.0.1:0", Protocol: broker.HTTP}}}, newHeld(), nil, shadowtest.Log(t))
	entered := make(chan struct{})
	b.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(entered)
		_, _ = io.WriteString(w, "done")
	})
	if err := b.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- b.Run(ctx) }()
	idle, err := net.Dial("tcp", b.Addrs()[0].String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = idle.Close() }()
	_, _ = io.WriteString(idle, "GET / HTTP/1.1\r\nHost: x\r\nX-")
	r, err := http.Get("http://" + b.Addrs()[0].String())
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(r.Body)
	_ = r.Body.Close()
	<-entered
	if string(body) != "done" {
		t.Errorf("answer %q", body)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if _, err := io.Copy(io.Discard, idle); err != nil {
		t.Logf("the idle one: %v", err)
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
