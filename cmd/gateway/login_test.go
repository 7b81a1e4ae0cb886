package gateway_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	mqtt "github.com/eclipse/paho.mqtt.golang"

	"edgeshadow/localshadow/access"
)

// An application comes in with an access key, over a WebSocket whose URL it has
// signed beforehand and over HTTP, and with a password over MQTT; each may do
// what its policies say, and when the key is deleted its connection ends.
func TestLogins(t *testing.T) {
	dir := t.TempDir()
	hash, err := access.HashPassword([]byte("open sesame"))
	if err != nil {
		t.Fatal(err)
	}
	policy := `{"Version":"2012-10-17","Statement":[
		{"Effect":"Allow","Action":"iot:*","Resource":"*"},
		{"Effect":"Deny","Action":["iot:Publish","iot:GetThingShadow"],"Resource":["arn:aws:iot:*:*:topic/secret","arn:aws:iot:*:*:thing/secret"]}]}`
	for name, text := range map[string]string{"scada.hash": hash, "scada.json": policy} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	g := MustRun(t, dir, MustLoad(t, dir, `
broker:
  listeners:
    - {address: "127.0.0.1:0", auth: [password]}
    - {address: "127.0.0.1:0", protocol: ws, auth: [sigv4]}
    - {address: "127.0.0.1:0", protocol: http, auth: [sigv4, password]}
access:
  policies: {scada: file:scada.json}
  principals: [{user: scada, password: file:scada.hash, policies: [scada]}]
`))
	key, err := g.CreateKey(t.Context(), []string{"scada"}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	keys, empty := aws.Credentials{AccessKeyID: key.ID, SecretAccessKey: key.Secret}, sha256.Sum256(nil)
	addrs := g.Addrs()

	request, err := http.NewRequest(http.MethodGet, "http://"+addrs[1].String()+"/mqtt?X-Amz-Expires=300", nil)
	if err != nil {
		t.Fatal(err)
	}
	signed, _, err := v4.NewSigner().PresignHTTP(t.Context(), keys, request, hex.EncodeToString(empty[:]), "iotdevicegateway", "local", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	dial := func(url string, set func(*mqtt.ClientOptions)) (mqtt.Client, error) {
		o := mqtt.NewClientOptions().AddBroker(url).SetClientID("app").SetAutoReconnect(false).SetConnectTimeout(patience).SetProtocolVersion(4)
		set(o)
		c := mqtt.NewClient(o)
		token := c.Connect()
		if !token.WaitTimeout(patience) {
			return nil, context.DeadlineExceeded
		}
		return c, token.Error()
	}
	nothing := func(*mqtt.ClientOptions) {}
	url := strings.Replace(signed, "http://", "ws://", 1)
	app, err := dial(url, nothing)
	if err != nil {
		t.Fatal(err)
	}
	defer app.Disconnect(0)
	if token := app.Publish("plain", 1, false, "x"); !token.WaitTimeout(patience) || token.Error() != nil {
		t.Errorf("publish: %v", token.Error())
	}
	for _, broken := range []string{strings.Replace(url, "X-Amz-Signature=", "X-Amz-Signature=0", 1), "ws://" + addrs[1].String() + "/mqtt"} {
		if c, err := dial(broken, nothing); err == nil {
			c.Disconnect(0)
			t.Errorf("in by %s", broken)
		}
	}

	ask := func(path string, prepare func(*http.Request)) (int, string) {
		r, err := http.NewRequest(http.MethodGet, "http://"+addrs[2].String()+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		prepare(r)
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		return resp.StatusCode, string(body)
	}
	sign := func(r *http.Request) {
		if err := v4.NewSigner().SignHTTP(t.Context(), keys, r, hex.EncodeToString(empty[:]), "iotdata", "local", time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	login := func(word string) func(*http.Request) {
		return func(r *http.Request) { r.SetBasicAuth("scada", word) }
	}
	for name, tt := range map[string]struct {
		path    string
		prepare func(*http.Request)
		want    int
	}{
		"signed":                 {"/things/lamp/shadow", sign, 404},
		"signed, denied":         {"/things/secret/shadow", sign, 403},
		"password":               {"/things/lamp/shadow", login("open sesame"), 404},
		"password, once more":    {"/things/lamp/shadow", login("open sesame"), 404},
		"password, denied":       {"/things/secret/shadow", login("open sesame"), 403},
		"another password":       {"/things/lamp/shadow", login("open"), 401},
		"nothing":                {"/things/lamp/shadow", func(*http.Request) {}, 401},
		"the registry, with all": {"/things", sign, 200},
		"thing types, with all":  {"/thing-types", sign, 200},
	} {
		if got, body := ask(tt.path, tt.prepare); got != tt.want {
			t.Errorf("%s: %d %s, want %d", name, got, body, tt.want)
		}
	}

	scada, err := dial("tcp://"+addrs[0].String(), func(o *mqtt.ClientOptions) { o.SetClientID("scada").SetUsername("scada").SetPassword("open sesame") })
	if err != nil {
		t.Fatal(err)
	}
	defer scada.Disconnect(0)
	if c, err := dial("tcp://"+addrs[0].String(), func(o *mqtt.ClientOptions) { o.SetClientID("eve").SetUsername("scada").SetPassword("x") }); err == nil {
		c.Disconnect(0)
		t.Error("in with a wrong password")
	}
	if token := scada.Publish("secret", 1, false, "x"); token.WaitTimeout(patience) && token.Error() == nil && scada.IsConnectionOpen() {
		t.Error("published what its policy denies")
	}

	if err := g.DeleteKey(t.Context(), key.ID); err != nil {
		t.Fatal(err)
	}
	await(t, "the key's connection ends", func() bool { return !app.IsConnectionOpen() })
	if c, err := dial(url, nothing); err == nil {
		c.Disconnect(0)
		t.Error("in with a key that is deleted")
	}
	if got, _ := ask("/things/lamp/shadow", sign); got != 401 {
		t.Errorf("%d with a key that is deleted", got)
	}
}
