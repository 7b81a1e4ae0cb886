package pubsub_test

import (
	"testing"

	"edgeshadow/cmd/pubsub"
)

func TestTarget_URL(t *testing.T) {
	for _, tt := range []struct {
		target pubsub.Target
		want   string // empty: an error
	}{
		{pubsub.Target{Endpoint: "gw"}, "mqtt://gw:1883"},
		{pubsub.Target{Endpoint: "gw:1884"}, "mqtt://gw:1884"},
		{pubsub.Target{Endpoint: "gw:8883"}, "mqtts://gw:8883"},
		{pubsub.Target{Endpoint: "gw", Port: 8883}, "mqtts://gw:8883"},
		{pubsub.Target{Endpoint: "gw", CA: "ca.crt"}, "mqtts://gw:8883"},
		{pubsub.Target{Endpoint: "gw:9000", Certificate: "c.crt"}, "mqtts://gw:9000"},
		{pubsub.Target{Endpoint: "gw", WebSocket: true}, "ws://gw:80/mqtt"},
		{pubsub.Target{Endpoint: "gw", WebSocket: true, CA: "ca.crt"}, "wss://gw:443/mqtt"},
		{pubsub.Target{Endpoint: "ws://gw:8080/other"}, "ws://gw:8080/other"},
		{pubsub.Target{Endpoint: "mqtts://gw", Port: 443}, "mqtts://gw:443"},
		{pubsub.Target{Endpoint: "mqtt://[::1]:1"}, "mqtt://[::1]:1"},
		{pubsub.Target{Endpoint: "unix:///run/mqtt.sock"}, "unix:///run/mqtt.sock"},
		{pubsub.Target{Endpoint: "coap://gw"}, ""},
		{pubsub.Target{Endpoint: "mqtt://:1883"}, ""},
		{pubsub.Target{}, ""},
	} {
		u, err := tt.target.URL()
		if got := ""; err == nil {
			if got = u.String(); got != tt.want {
				t.Errorf("%+v: %s, want %s", tt.target, got, tt.want)
			}
		} else if tt.want != "" {
			t.Errorf("%+v: %v", tt.target, err)
		}
	}
}
