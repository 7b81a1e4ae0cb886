package upstream_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"edgeshadow/bridge/upstream"
	"edgeshadow/localshadow/access"
)

// front is the WebSocket of AWS IoT before a broker: it checks the signature by
// itself, from Amazon's description of Signature Version 4.
type front struct {
	broker *broker
	addr   string
	region string
	token  string // of temporary credentials; "": none

	mu   sync.Mutex
	key  string   // secret; "": nothing need be signed
	seen []string // refusals
}

func hmac256(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

// check recomputes the signature of a request.
func (f *front) check(r *http.Request, secret string) error {
	query, given, ok := strings.Cut(r.URL.RawQuery, "&X-Amz-Signature=")
	if !ok {
		return errors.New("not signed")
	}
	given, rest, _ := strings.Cut(given, "&")
	values, err := url.ParseQuery(query)
	if err != nil {
		return err
	}
	if token, err := url.QueryUnescape(strings.TrimPrefix(rest, "X-Amz-Security-Token=")); err != nil || token != f.token {
		return fmt.Errorf("token %q outside of the signature, want %q", token, f.token)
	}
	at, err := time.Parse("20060102T150405Z", values.Get("X-Amz-Date"))
	if err != nil || time.Since(at).Abs() > 5*time.Minute {
		return fmt.Errorf("signed at %v: %v", at, err)
	}
	day := at.Format("20060102")
	scope := day + "/" + f.region + "/iotdevicegateway/aws4_request"
	for key, want := range map[string]string{
		"X-Amz-Algorithm": "AWS4-HMAC-SHA256", "X-Amz-Credential": "AKID/" + scope, "X-Amz-SignedHeaders": "host", "X-Amz-Security-Token": "",
	} {
		if values.Get(key) != want {
			return fmt.Errorf("%s is %q, want %q", key, values.Get(key), want)
		}
	}
	sorted := strings.ReplaceAll(values.Encode(), "+", "%20")
	empty := sha256.Sum256(nil)
	canonical := sha256.Sum256([]byte(strings.Join([]string{
		r.Method, r.URL.Path, sorted, "host:" + r.Host, "", "host", hex.EncodeToString(empty[:]),
	}, "\n")))
	text := strings.Join([]string{"AWS4-HMAC-SHA256", values.Get("X-Amz-Date"), scope, hex.EncodeToString(canonical[:])}, "\n")
	key := []byte("AWS4" + secret)
	for _, part := range []string{day, f.region, "iotdevicegateway", "aws4_request"} {
		key = hmac256(key, part)
	}
	if want := hex.EncodeToString(hmac256(key, text)); given != want {
		return errors.New("signature does not match")
	}
	return nil
}

func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	key := f.key
	f.mu.Unlock()
	if key != "" {
		if err := f.check(r, key); err != nil {
			f.mu.Lock()
			f.seen = append(f.seen, err.Error())
			f.mu.Unlock()
			http.Error(w, "Forbidden", http.StatusForbidden)
			return
		}
	}
	up := websocket.Upgrader{Subprotocols: []string{"mqtt"}, CheckOrigin: func(*http.Request) bool { return true }}
	ws, err := up.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	_ = f.broker.server.EstablishConnection("ws", &pieces{Conn: ws})
}

func (f *front) refusals() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string(nil), f.seen...)
}

// pieces sends every byte in a message of its own: packets and messages have
// nothing to do with each other [MQTT-6.0.0-2].
type pieces struct {
	*websocket.Conn
	in      io.Reader
	writing sync.Mutex
}

func (p *pieces) Read(b []byte) (int, error) {
	for {
		if p.in == nil {
			_, in, err := p.NextReader()
			if err != nil {
				return 0, err
			}
			p.in = in
		}
		n, err := p.in.Read(b)
		if err == io.EOF {
			p.in = nil
			if n == 0 {
				continue
			}
		}
		return n, nil
	}
}

func (p *pieces) Write(b []byte) (int, error) {
	p.writing.Lock()
	defer p.writing.Unlock()
	for i := range b {
		if err := p.WriteMessage(websocket.BinaryMessage, b[i:i+1]); err != nil {
			return i, err
		}
	}
	return len(b), nil
}

func (p *pieces) SetDeadline(t time.Time) error { return p.SetReadDeadline(t) }

// MustFront serves a front over TLS.
func MustFront(tb testing.TB, ca *access.CA, f *front) {
	tb.Helper()
	f.broker = MustServe(tb, nil)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	f.addr = l.Addr().String()
	server := &http.Server{Handler: f, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, 0)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(tls.NewListener(l, &tls.Config{GetCertificate: ca.ServerCertificate, NextProtos: []string{"http/1.1"}}))
	}()
	tb.Cleanup(func() {
		_ = server.Close()
		<-done
	})
}

// noCredentials hides those of the machine.
func noCredentials(t *testing.T) {
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"} {
		t.Setenv(name, "")
	}
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", filepath.Join(t.TempDir(), "none"))
	t.Setenv("AWS_CONFIG_FILE", filepath.Join(t.TempDir(), "none"))
}

// Credentials come from wherever AWS's own programs take them.
func TestWebSocket_Credentials(t *testing.T) {
	ca := MustCA(t)
	container := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"AccessKeyId":"AKID","SecretAccessKey":"s3cr3t","Token":"to/k+en=","Expiration":%q}`, time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
	}))
	t.Cleanup(container.Close)
	shared := MustWrite(t, []byte("[default]\naws_access_key_id = AKID\naws_secret_access_key = s3cr3t\n"))
	for name, row := range map[string]struct {
		env   map[string]string
		token string
	}{
		"Environment": {map[string]string{"AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": "s3cr3t"}, ""},
		"Temporary":   {map[string]string{"AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": "s3cr3t", "AWS_SESSION_TOKEN": "to/k+en="}, "to/k+en="},
		"SharedFile":  {map[string]string{"AWS_SHARED_CREDENTIALS_FILE": shared}, ""},
		"Container":   {map[string]string{"AWS_CONTAINER_CREDENTIALS_FULL_URI": container.URL}, "to/k+en="},
	} {
		t.Run(name, func(t *testing.T) {
			noCredentials(t)
			for k, v := range row.env {
				t.Setenv(k, v)
			}
			f := &front{region: "eu-central-1", key: "s3cr3t", token: row.token}
			MustFront(t, ca, f)
			var log bytes.Buffer
			c, r, stop := MustRun(t, "wss://"+f.addr, func(c *upstream.Client) {
				c.Config.CA, c.Config.Region = MustWrite(t, ca.PEM()), "eu-central-1"
				c.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
			})
			r.await(t, "up new", 1)
			f.broker.say(t, "in/x", strings.Repeat("down", 300))
			r.await(t, strings.Repeat("down", 300), 1)
			if err := c.Publish(t.Context(), "out", []byte("up")); err != nil {
				t.Error(err)
			}
			stop()
			if got := f.broker.received(); len(got) != 1 || got[0] != "up" {
				t.Errorf("received %q, refused %q", got, f.refusals())
			}
			for _, secret := range []string{"s3cr3t", "to/k", "Signature", "AKID"} {
				if strings.Contains(log.String(), secret) {
					t.Errorf("%s in the log:\n%s", secret, log.String())
				}
			}
		})
	}
}

// Each attempt is signed anew: a connection that AWS ends after a day comes
// back, with what the shared file holds then.
func TestWebSocket_SignedAnew(t *testing.T) {
	noCredentials(t)
	ca := MustCA(t)
	path := filepath.Join(t.TempDir(), "credentials")
	write := func(secret string) {
		if err := os.WriteFile(path, []byte("[default]\naws_access_key_id = AKID\naws_secret_access_key = "+secret+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("old")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", path)
	t.Setenv("AWS_REGION", "us-east-1")
	f := &front{region: "us-east-1", key: "old"}
	MustFront(t, ca, f)
	link := MustLink(t, f.addr)
	_, r, _ := MustRun(t, "wss://"+link.Addr(), func(c *upstream.Client) { c.Config.CA = MustWrite(t, ca.PEM()) })
	r.await(t, "up new", 1)
	link.Refuse()
	r.await(t, "down", 1)
	f.mu.Lock()
	f.key = "new"
	f.mu.Unlock()
	write("new")
	link.Heal()
	r.await(t, "up kept", 1)
}

// With a client certificate a WebSocket needs no signature: another edgeshadow.
func TestWebSocket_Certificate(t *testing.T) {
	noCredentials(t)
	ca := MustCA(t)
	f := &front{}
	MustFront(t, ca, f)
	crt, key := MustWrite(t, nil), MustWrite(t, nil)
	mustEnroll(t, ca, crt, key)
	_, r, _ := MustRun(t, "wss://"+f.addr, func(c *upstream.Client) {
		c.Config.CA, c.Config.Certificate, c.Config.Key = MustWrite(t, ca.PEM()), crt, key
	})
	r.await(t, "up new", 1)
}

func TestWebSocket_Why(t *testing.T) {
	ca := MustCA(t)
	signing := &front{region: "eu-central-1", key: "another"}
	MustFront(t, ca, signing)
	plain := MustServe(t, serverTLS(ca))
	for name, row := range map[string]struct {
		endpoint, secret, region, why, hint string
	}{
		"NoCredentials": {signing.addr, "", "eu-central-1", "AWS credentials: ", "AWS_ACCESS_KEY_ID"},
		"NoRegion":      {signing.addr, "s", "", "no region: want cloud.region", ""},
		"Refused":       {signing.addr, "s", "eu-central-1", "no WebSocket: HTTP 403 Forbidden", "are the AWS credentials valid, is cloud.region right, and is the clock"},
		"NoWebSocket":   {plain.addr, "s", "eu-central-1", "WebSocket with", "mqtts:// is without"},
	} {
		t.Run(name, func(t *testing.T) {
			noCredentials(t)
			if row.secret != "" {
				t.Setenv("AWS_ACCESS_KEY_ID", "AKID")
				t.Setenv("AWS_SECRET_ACCESS_KEY", row.secret)
			}
			c, _, _ := MustRun(t, "wss://"+row.endpoint, func(c *upstream.Client) {
				c.Config.CA, c.Config.Region = MustWrite(t, ca.PEM()), row.region
			})
			s := awaitStatus(t, c, "a failure", func(s upstream.Status) bool { return s.Failures > 0 })
			if !strings.Contains(s.Why, row.why) || !strings.Contains(s.Hint, row.hint) {
				t.Errorf("got %q, hint %q; want %q, %q", s.Why, s.Hint, row.why, row.hint)
			}
		})
	}
}

// The address that is signed is the one that AWS documents.
func TestPresign(t *testing.T) {
	got, err := upstream.Presign(context.Background(), upstream.Config{Endpoint: "wss://x-ats.iot.eu-west-3.amazonaws.com"}, "AKID", "s3cr3t", "a b/c", time.Unix(1_700_000_000, 0))
	if err != nil {
		t.Fatal(err)
	}
	want := "wss://x-ats.iot.eu-west-3.amazonaws.com/mqtt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKID%2F20231114%2Feu-west-3%2Fiotdevicegateway%2Faws4_request&X-Amz-Date=20231114T221320Z&X-Amz-Expires=300&X-Amz-SignedHeaders=host&X-Amz-Signature="
	rest, ok := strings.CutPrefix(got, want)
	if signature, token, _ := strings.Cut(rest, "&"); !ok || len(signature) != 64 || token != "X-Amz-Security-Token=a+b%2Fc" {
		t.Errorf("got %s", got)
	}
}
