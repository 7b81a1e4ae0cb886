package broker_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/gorilla/websocket"

	"edgeshadow/localshadow/access"
	"edgeshadow/localshadow/broker"
	"edgeshadow/test/shadowtest"
)

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
