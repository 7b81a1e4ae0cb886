package upstream_test

import (
	"crypto/tls"
	"net"
	"strings"
	"testing"
	"time"

	"edgeshadow/bridge/upstream"
	"edgeshadow/localshadow/access"
)

// serverTLS asks for a client certificate, and checks one that is given.
func serverTLS(ca *access.CA) *tls.Config {
	return &tls.Config{GetCertificate: ca.ServerCertificate, ClientAuth: tls.VerifyClientCertIfGiven, ClientCAs: ca.Pool()}
}

func TestRetry(t *testing.T) {
	b := upstream.Backoff{Min: time.Second, Max: 16 * time.Second, Stable: time.Minute}
	for range 200 {
		r := upstream.NewRetry(b)
		now := time.Unix(1e9, 0)
		for limit := b.Min; limit < 100*time.Second; limit *= 2 {
			r.Attempt(now)
			pause := r.Pause(now)
			if pause < b.Min || pause > min(limit, b.Max) {
				t.Fatalf("got %v, want %v to %v", pause, b.Min, min(limit, b.Max))
			}
			now = now.Add(pause)
		}
		r.Reset()
		r.Attempt(now)
		if pause := r.Pause(now); pause != b.Min {
			t.Fatalf("after a reset got %v, want %v", pause, b.Min)
		}
		r.Attempt(now)
		if pause := r.Pause(now.Add(time.Hour)); pause > 2*b.Min {
			t.Fatalf("after an attempt of an hour got %v, want at most %v", pause, 2*b.Min)
		}
	}
}

func TestFrames(t *testing.T) {
	const connack = "\x20\x02\x00\x00"
	long := connack + "\x30\x81\x01" + strings.Repeat("x", 129)
	tests := map[string]struct {
		bytes, err string
	}{
		"Good":        {long + "\x90\x04\x00\x01\x01\x80" + "\xd0\x00", ""},
		"Refused":     {"\x20\x02\x00\x05", "code 5"},
		"Unknown":     {"\x20\x02\x00\x63", "code 99: unknown code"},
		"Second":      {connack + connack, "packet type 2 where none may be"},
		"Early":       {"\x30\x00", "packet type 3 where none may be"},
		"LongConnack": {"\x20\x03\x00\x00\x00", "CONNACK of 3 bytes"},
		"LongSuback":  {connack + "\x90\x05\x00\x01\x01\x01\x01", "SUBACK for 3 filters, asked for 2"},
		"BadLength":   {connack + "\x30\xff\xff\xff\xff\x01", "bad length"},
		"Huge":        {connack + "\x30\x80\x80\x80\x01", "more than 262144"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			for _, step := range []int{1, 3, len(tt.bytes)} {
				f := upstream.NewFrames(2)
				var err error
				for p := []byte(tt.bytes); len(p) > 0 && err == nil; {
					n := min(step, len(p))
					err = f.See(p[:n])
					p = p[n:]
				}
				if tt.err == "" && err != nil {
					t.Errorf("by %d: %v", step, err)
				}
				if tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
					t.Errorf("by %d: got %v, want %q", step, err, tt.err)
				}
			}
		})
	}
}

func FuzzFrames(f *testing.F) {
	f.Add([]byte("\x20\x02\x00\x00\x90\x04\x00\x01\x01\x80\x30\x02ab"), 1)
	f.Fuzz(func(t *testing.T, data []byte, step int) {
		whole, split := upstream.NewFrames(2), upstream.NewFrames(2)
		want := whole.See(data)
		step = max(1, min(step, 7))
		var got error
		for p := data; len(p) > 0 && got == nil; {
			n := min(step, len(p))
			got = split.See(p[:n])
			p = p[n:]
		}
		if (want == nil) != (got == nil) {
			t.Errorf("whole %v, in pieces of %d %v", want, step, got)
		}
	})
}

func TestConfig_Validate(t *testing.T) {
	tests := map[string]struct {
		config upstream.Config
		path   string
	}{
		"Plain":       {upstream.Config{Endpoint: "mqtt://127.0.0.1:1883"}, ""},
		"Bare":        {upstream.Config{Endpoint: "h"}, ""},
		"AWS":         {upstream.Config{Endpoint: "x-ats.iot.eu-central-1.amazonaws.com", Certificate: "c", Key: "k"}, ""},
		"AWSNoCert":   {upstream.Config{Endpoint: "x-ats.iot.eu-central-1.amazonaws.com"}, "certificate"},
		"AWSPlain":    {upstream.Config{Endpoint: "mqtt://x-ats.iot.eu-central-1.amazonaws.com"}, "endpoint"},
		"Missing":     {upstream.Config{}, "endpoint"},
		"Scheme":      {upstream.Config{Endpoint: "http://h"}, "endpoint"},
		"Path":        {upstream.Config{Endpoint: "mqtts://h/x"}, "endpoint"},
		"Port":        {upstream.Config{Endpoint: "mqtts://h:70000"}, "endpoint"},
		"KeyAlone":    {upstream.Config{Endpoint: "h", Key: "k"}, "certificate"},
		"CertAlone":   {upstream.Config{Endpoint: "h", Certificate: "c"}, "key"},
		"Rate":        {upstream.Config{Endpoint: "h", PublishRate: -1}, "publish_rate"},
		"WebSocket":   {upstream.Config{Endpoint: "wss://x-ats.iot.eu-central-1.amazonaws.com", Region: "eu-central-1"}, ""},
		"WSWithCert":  {upstream.Config{Endpoint: "wss://x-ats.iot.eu-central-1.amazonaws.com", Certificate: "c", Key: "k"}, "endpoint"},
		"WSPlain":     {upstream.Config{Endpoint: "ws://h"}, "endpoint"},
		"RegionAlone": {upstream.Config{Endpoint: "h", Region: "eu-central-1"}, "region"},
		"CAWithNoTLS": {upstream.Config{Endpoint: "mqtt://h", CA: "ca"}, "endpoint"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			faults := tt.config.Validate()
			if tt.path == "" {
				if len(faults) > 0 {
					t.Error(faults)
				}
				return
			}
			if len(faults) != 1 || !strings.HasPrefix(faults[0].Error(), tt.path+": ") {
				t.Errorf("got %v, want one fault at %s", faults, tt.path)
			}
		})
	}
}

// AWS takes MQTT on port 443 from who asks for it by ALPN only (SHADOW 26), and
// wants to know by SNI which endpoint is meant; a custom root is trusted, and a
// client certificate shown.
func TestConfig_Handshake(t *testing.T) {
	ca := MustCA(t)
	crt, key := MustWrite(t, nil), MustWrite(t, nil)
	mustEnroll(t, ca, crt, key)
	for endpoint, protocol := range map[string]string{
		"mqtts://localhost:443": "x-amzn-mqtt-ca", "mqtts://localhost": "", "wss://localhost": "",
	} {
		client, err := upstream.Config{Endpoint: endpoint, CA: MustWrite(t, ca.PEM()), Certificate: crt, Key: key}.TLSConfig()
		if err != nil {
			t.Fatal(err)
		}
		server := serverTLS(ca)
		server.ClientAuth = tls.RequireAndVerifyClientCert
		server.NextProtos = []string{"x-amzn-mqtt-ca"}
		here, there := net.Pipe()
		done := make(chan error, 1)
		s := tls.Server(there, server)
		go func() { done <- s.HandshakeContext(t.Context()) }()
		if err := tls.Client(here, client).HandshakeContext(t.Context()); err != nil {
			t.Fatalf("%s: %v", endpoint, err)
		}
		if err := <-done; err != nil {
			t.Fatalf("%s: %v", endpoint, err)
		}
		got := s.ConnectionState()
		if got.NegotiatedProtocol != protocol || got.ServerName != "localhost" || got.PeerCertificates[0].Subject.CommonName != "gw-1" {
			t.Errorf("%s: protocol %q, server name %q, client %s", endpoint, got.NegotiatedProtocol, got.ServerName, got.PeerCertificates[0].Subject)
		}
		_, _ = here.Close(), there.Close()
	}
}
