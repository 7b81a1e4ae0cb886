package broker_test

import (
	"crypto/tls"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"edgeshadow/localshadow/access"
	"edgeshadow/localshadow/broker"
	"edgeshadow/test/shadowtest"
)

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

func (denying) Authenticate(access.Credentials) (broker.Principal, error) { return nil, io.EOF }

func (denying) Barred(_, _, _, _ string) {}

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
