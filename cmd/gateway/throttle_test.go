package gateway_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"edgeshadow/localshadow/access"
)

// from is a dialer with an address of its own; all of 127.0.0.0/8 is this machine.
func from(address string) *net.Dialer {
	return &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}, Timeout: patience}
}

// Who guesses passwords or tokens is slowed down, over real connections, and
// nobody else is.
func TestGateway_Throttle(t *testing.T) {
	dir := t.TempDir()
	for user, password := range map[string]string{"scada": "open sesame", "guest": "welcome"} {
		hash, err := access.HashPassword([]byte(password))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, user+".hash"), []byte(hash+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	g := MustRun(t, dir, MustLoad(t, dir, `
broker:
  listeners:
    - {address: "127.0.0.1:0", auth: [password]}
    - {address: "127.0.0.1:0", protocol: http, tls: auto, auth: [certificate]}
access:
  principals:
    - {user: scada, password: file:scada.hash, policies: [all]}
    - {user: guest, password: file:guest.hash, policies: [all]}
`))
	login := func(address, user, password string) bool {
		c := mqtt.NewClient(mqtt.NewClientOptions().AddBroker("tcp://" + g.Addrs()[0].String()).SetClientID(user).SetUsername(user).
			SetPassword(password).SetDialer(from(address)).SetAutoReconnect(false).SetProtocolVersion(4))
		defer c.Disconnect(0)
		token := c.Connect()
		return token.WaitTimeout(patience) && token.Error() == nil
	}
	throttled := func(what string) (n uint64) {
		all, err := g.Denied(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range all {
			if strings.HasPrefix(d.Why, "too many failed logins of "+what+";") {
				n += d.Count
			}
		}
		return n
	}

	// The wait begins at a second; a machine that stands still for that long gets
	// another try, after which it is longer.
	held := false
	for range 5 {
		await(t, "the guesser is told to wait", func() bool {
			if login("127.0.0.2", "scada", "guess") {
				t.Fatal("in with a guess")
			}
			return throttled("127.0.0.2") > 0
		})
		if held = !login("127.0.0.2", "guest", "welcome"); held {
			break
		}
	}
	if !held {
		t.Error("who guesses is let in with what it knows, every time")
	}
	if !login("127.0.0.3", "guest", "welcome") {
		t.Error("another address has to wait")
	}
	await(t, "the name that was guessed comes in from elsewhere", func() bool { return login("127.0.0.3", "scada", "open sesame") })

	token, err := g.Client.Token(t.Context(), "lamp", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		t.Fatal(err)
	}
	request := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
	enroll := func(address, token string) (status int, wait string) {
		client := &http.Client{Transport: &http.Transport{
			TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
			DialContext: func(ctx context.Context, network, to string) (net.Conn, error) {
				return from(address).DialContext(ctx, network, to)
			},
		}}
		defer client.CloseIdleConnections()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://"+g.Addrs()[1].String()+"/enroll", strings.NewReader(request))
		if err != nil {
			t.Error(err)
			return 0, ""
		}
		r.Header.Set("Authorization", "Bearer "+token)
		resp, err := client.Do(r)
		if err != nil {
			t.Error(err)
			return 0, ""
		}
		defer resp.Body.Close()
		return resp.StatusCode, resp.Header.Get("Retry-After")
	}
	var mu sync.Mutex
	var wait sync.WaitGroup
	answers := map[int]int{}
	for i := range 4 {
		wait.Go(func() {
			for j := range 5 {
				status, later := enroll("127.0.0.4", fmt.Sprintf("GUESS-%d-%d", i, j))
				if status == http.StatusTooManyRequests && later == "" {
					t.Error("who is to wait is not told for how long")
				}
				mu.Lock()
				answers[status]++
				mu.Unlock()
			}
		})
	}
	wait.Wait()
	if answers[http.StatusForbidden] < 5 || answers[http.StatusTooManyRequests] == 0 ||
		answers[http.StatusForbidden]+answers[http.StatusTooManyRequests] != 20 {
		t.Errorf("20 guesses were answered %v", answers)
	}
	if status, _ := enroll("127.0.0.5", token.Token); status != http.StatusOK {
		t.Errorf("the device with the token: %d", status)
	}
}
