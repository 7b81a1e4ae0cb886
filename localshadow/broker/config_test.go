package broker_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"edgeshadow/localshadow/access"
	"edgeshadow/localshadow/broker"
)

func TestConfig_Validate(t *testing.T) {
	auto := &broker.TLS{Auto: true}
	for _, tt := range []struct {
		name string
		l    broker.Listener
		want []string
	}{
		{"loopback", broker.Listener{Address: "127.0.0.1:1883"}, nil},
		{"loopback of six", broker.Listener{Address: "[::1]:1883"}, nil},
		{"localhost", broker.Listener{Address: "localhost:1883", Protocol: broker.WS}, nil},
		{"unix", broker.Listener{Address: "/run/x.sock", Protocol: broker.Unix}, nil},
		{"unix with a word", broker.Listener{Address: "x.sock", Protocol: broker.Unix}, []string{"address: "}},
		{"unix too long", broker.Listener{Address: "/" + strings.Repeat("x", 107), Protocol: broker.Unix}, []string{"address: longer"}},
		{"unix with TLS", broker.Listener{Address: "/x", Protocol: broker.Unix, TLS: auto}, []string{"tls: "}},
		{"unix with certificates", broker.Listener{Address: "/x", Protocol: broker.Unix, Auth: []string{access.Certificate}}, []string{"auth: "}},
		{"beyond", broker.Listener{Address: ":8883", TLS: auto}, nil},
		{"https beyond", broker.Listener{Address: ":8444", Protocol: broker.HTTP, TLS: auto}, nil},
		{"beyond without TLS", broker.Listener{Address: ":8883", Protocol: broker.HTTP}, []string{"tls: missing"}},
		{"beyond anonymous", broker.Listener{Address: ":1883", Auth: []string{access.Anonymous}}, []string{"auth: anonymous clients beyond loopback"}},
		{"beyond anonymous, said", broker.Listener{Address: ":1883", Auth: []string{access.Anonymous}, Insecure: true}, nil},
		{"ws anonymous beyond", broker.Listener{Address: "10.0.0.1:80", Protocol: broker.WS, Auth: []string{access.Anonymous}}, []string{"auth: anonymous clients beyond loopback"}},
		{"password", broker.Listener{Address: ":8883", TLS: auto, Auth: []string{access.Password}}, nil},
		{"password without TLS", broker.Listener{Address: ":1883", Auth: []string{access.Password}}, []string{"auth: logins that anybody can read"}},
		{"password without TLS, said", broker.Listener{Address: ":1883", Auth: []string{access.Password}, Insecure: true}, nil},
		{"password on loopback", broker.Listener{Address: "127.0.0.1:1883", Auth: []string{access.Password}}, nil},
		{"signatures", broker.Listener{Address: ":8443", Protocol: broker.WS, TLS: auto, Auth: []string{access.Signature}}, nil},
		{"signatures of MQTT", broker.Listener{Address: ":8883", TLS: auto, Auth: []string{access.Signature}}, []string{"auth: sigv4 signs requests of HTTP; this listener speaks mqtt"}},
		{"unknown", broker.Listener{Address: "127.0.0.1:1", Protocol: "coap", Auth: []string{"guess"}}, []string{"protocol: ", "auth: "}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for i, err := range (broker.Config{Listeners: []broker.Listener{tt.l}}).Validate() {
				text := strings.TrimPrefix(err.Error(), "listeners[0].")
				if i < len(tt.want) && strings.HasPrefix(text, tt.want[i]) {
					text = tt.want[i]
				}
				got = append(got, text)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("faults (-want +got):\n%s", diff)
			}
		})
	}
}
