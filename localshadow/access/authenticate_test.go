package access_test

import (
	"context"
	"crypto/sha256"
	"crypto/x509/pkix"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"golang.org/x/crypto/bcrypt"

	"edgeshadow/localshadow/access"
	"edgeshadow/test/shadowtest"
)

// withPassword shows a user and a password.
func withPassword(user, password, address string) access.Credentials {
	c := anonymous("c1")
	c.Auth, c.User, c.Password, c.Remote = []string{"password"}, user, []byte(password), from(address)
	return c
}

func withCertificate(tb testing.TB, name string, auth ...string) access.Credentials {
	c := anonymous(name)
	c.Auth, c.Certificate = auth, mustCertify(tb, pkix.Name{CommonName: name})
	return c
}

// users is a configuration with two users; one hash is of bcrypt.
func users(tb testing.TB) access.Config {
	tb.Helper()
	hash, err := access.HashPassword([]byte("right"))
	if err != nil {
		tb.Fatal(err)
	}
	old, err := bcrypt.GenerateFromPassword([]byte("old"), bcrypt.MinCost)
	if err != nil {
		tb.Fatal(err)
	}
	return access.Config{Principals: []access.Entry{
		{User: "ada", Password: mustWrite(tb, "ada", hash+"\n"), Policies: []string{access.All}},
		{User: "bob", Password: mustWrite(tb, "bob", string(old)), Policies: []string{access.OwnThing}},
	}}
}

func TestAuthenticate(t *testing.T) {
	a := MustOpen(t, users(t))
	sdk := anonymous("c1")
	sdk.Auth, sdk.User = []string{"password", "anonymous"}, "?SDK=JS"
	both := withPassword("ada", "wrong", "10.0.0.3")
	both.Auth = []string{"password", "anonymous"}
	named := withCertificate(t, "lamp", "certificate", "password")
	named.User = "?SDK=JS" // beside a certificate: no login (SHADOW 31)
	for name, tt := range map[string]struct {
		shown access.Credentials
		want  string // the name, or what the error says
	}{
		"certificate":                  {withCertificate(t, "lamp", "certificate"), "certificate:lamp"},
		"certificate and a user name":  {named, "certificate:lamp"},
		"certificate without a name":   {withCertificate(t, "", "certificate"), "its certificate has no common name"},
		"certificate not admitted":     {withCertificate(t, "lamp", "password"), "it shows nothing that this listener admits"},
		"no certificate":               {access.Credentials{Auth: []string{"certificate"}}, "it shows no certificate"},
		"anonymous":                    {anonymous("x"), "anonymous"},
		"a user name without password": {sdk, "anonymous"},
		"password":                     {withPassword("ada", "right", "10.0.0.1"), "user:ada"},
		"password of bcrypt":           {withPassword("bob", "old", "10.0.0.1"), "user:bob"},
		"wrong password":               {withPassword("ada", "wrong", "10.0.0.2"), "no such user, or a wrong password"},
		"empty password":               {withPassword("ada", "", "10.0.0.2"), "no such user, or a wrong password"},
		"unknown user":                 {withPassword("eve", "right", "10.0.0.2"), "no such user, or a wrong password"},
		"wrong, where anonymous may":   {both, "no such user, or a wrong password"},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := a.Authenticate(tt.shown)
			got := ""
			if err != nil {
				got = err.Error()
			} else {
				got = p.Name()
			}
			if got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}

// A hash may be in the environment; one that is not there is told by its name.
func TestAuthenticate_Environment(t *testing.T) {
	hash, err := access.HashPassword([]byte("right"))
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("EDGESHADOW_TEST_HASH", hash+"\n")
	entry := access.Entry{User: "ada", Password: "env:EDGESHADOW_TEST_HASH", Policies: []string{access.All}}
	a := MustOpen(t, access.Config{Principals: []access.Entry{entry}})
	mustAuthenticate(t, a, withPassword("ada", "right", "10.0.0.1"))
	if _, err := a.Authenticate(withPassword("ada", "wrong", "10.0.0.1")); err == nil {
		t.Error("a wrong password counts")
	}
	entry.Password = "env:EDGESHADOW_NO_SUCH_HASH"
	if _, _, err := a.Prepare(access.Config{Principals: []access.Entry{entry}}); err == nil ||
		!strings.Contains(err.Error(), "the environment has no EDGESHADOW_NO_SUCH_HASH") {
		t.Errorf("a variable that is not set: %v", err)
	}
}

// A password file that is none is told with its name, at the start and at a
// reload, after which the old one still counts.
func TestAuthenticate_BadHash(t *testing.T) {
	good := users(t)
	a := MustOpen(t, good)
	for _, text := range []string{"", "secret", "$argon2id$v=19$m=99999999,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
		"$argon2id$v=19$m=64,t=2,p=1$A$A", "$argon2i$v=19$m=64,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "$2a$31$x"} {
		file := mustWrite(t, "bad", text)
		bad := access.Config{Principals: []access.Entry{{User: "ada", Password: file, Policies: []string{access.All}}}}
		if _, _, err := a.Prepare(bad); err == nil || !strings.Contains(err.Error(), file) {
			t.Errorf("%q: %v", text, err)
		}
	}
	mustAuthenticate(t, a, withPassword("ada", "right", "10.0.0.1"))
	// A reload with another password ends the one that was remembered.
	hash, err := access.HashPassword([]byte("new"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(good.Principals[0].Password, []byte(hash), 0o600); err != nil {
		t.Fatal(err)
	}
	commit, _, err := a.Prepare(good)
	if err != nil {
		t.Fatal(err)
	}
	commit()
	if _, err := a.Authenticate(withPassword("ada", "right", "10.0.0.1")); err == nil {
		t.Error("the old password counts")
	}
	mustAuthenticate(t, a, withPassword("ada", "new", "10.0.0.1"))
}

// A live connection feels a change of policies at once.
func TestPrepare_Live(t *testing.T) {
	a := MustOpen(t, access.Config{})
	p := mustAuthenticate(t, a, anonymous("x"))
	if !p.May("iot:Publish", "a") {
		t.Fatal("all is not all")
	}
	commit, _, err := a.Prepare(access.Config{Principals: []access.Entry{{Anonymous: true, Policies: []string{access.OwnThing}}}})
	if err != nil {
		t.Fatal(err)
	}
	if !p.May("iot:Publish", "a") {
		t.Error("what is prepared counts already")
	}
	commit()
	if p.May("iot:Publish", "a") {
		t.Error("what was committed does not count")
	}
}

// Guessing slows down, from one address, and for a name from everywhere; who is
// known at an address is not kept out by others, and it ends by itself.
func TestThrottle(t *testing.T) {
	cfg := users(t)
	a := MustOpen(t, cfg)
	synctest.Test(t, func(t *testing.T) {
		guess := access.Guesser(a)
		for range 5 {
			if err := guess.Fail("10.0.0.9", "ada"); err != nil {
				t.Fatal(err)
			}
		}
		var slow *access.ThrottledError
		_ = guess.Fail("10.0.0.9", "ada")
		if err := guess.Try("10.0.0.9", "ada"); !errors.As(err, &slow) || slow.Wait > time.Second {
			t.Errorf("%v after six failures", err)
		}
		if err := guess.Try("10.0.0.9", "bob"); err == nil {
			t.Error("another name from the same address")
		}
		if err := guess.Try("10.0.0.10", "ada"); !errors.As(err, &slow) || slow.Wait > 2*time.Second {
			t.Errorf("the same name from another address: %v", err)
		}
		guess.Succeed("10.0.0.11", "ada")
		if err := guess.Try("10.0.0.11", "ada"); err != nil {
			t.Errorf("the owner at an address of theirs: %v", err)
		}
		time.Sleep(3 * time.Second)
		if err := guess.Try("10.0.0.9", "ada"); err != nil {
			t.Errorf("after the wait: %v", err)
		}
		for range 40 {
			_ = guess.Fail("10.0.0.9", "ada")
		}
		if err := guess.Try("10.0.0.9", "x"); !errors.As(err, &slow) || slow.Wait != 5*time.Minute {
			t.Errorf("%v after many", err)
		}
		if err := guess.Try("10.0.0.12", "ada"); !errors.As(err, &slow) || slow.Wait > 2*time.Second {
			t.Errorf("a name is held for %v", slow.Wait)
		}
		for i := range 10_000 {
			_ = guess.Fail(string(rune(i)), "")
		}
		if n := guess.Tracked(); n > 4096 {
			t.Errorf("%d addresses are remembered", n)
		}
	})
}

// Wrong passwords in parallel count one by one.
func TestThrottle_Parallel(t *testing.T) {
	a := MustOpen(t, users(t))
	throttled := make(chan bool)
	for range 20 {
		go func() {
			_, err := a.Authenticate(withPassword("bob", "guess", "10.0.0.9"))
			var slow *access.ThrottledError
			throttled <- errors.As(err, &slow)
		}()
	}
	n := 0
	for range 20 {
		if <-throttled {
			n++
		}
	}
	if n < 10 {
		t.Errorf("only %d of 20 were held up", n)
	}
}

// signer signs as AWS SDKs do.
type signer struct {
	key     access.Key
	service string
	at      time.Time
}

func (s signer) credentials() aws.Credentials {
	return aws.Credentials{AccessKeyID: s.key.ID, SecretAccessKey: s.key.Secret}
}

func (s signer) request(tb testing.TB, method, url, body string) *http.Request {
	tb.Helper()
	r, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		tb.Fatal(err)
	}
	sum := sha256.Sum256([]byte(body))
	if err := v4.NewSigner().SignHTTP(context.Background(), s.credentials(), r, hex.EncodeToString(sum[:]), s.service, "eu-central-1", s.at); err != nil {
		tb.Fatal(err)
	}
	return r
}

// presigned is a URL for a WebSocket, as the device SDKs make it.
func (s signer) presigned(tb testing.TB, url string) string {
	tb.Helper()
	r, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		tb.Fatal(err)
	}
	empty := sha256.Sum256(nil)
	signed, _, err := v4.NewSigner().PresignHTTP(context.Background(), s.credentials(), r, hex.EncodeToString(empty[:]), s.service, "eu-central-1", s.at)
	if err != nil {
		tb.Fatal(err)
	}
	return signed
}

// served is a request as a server reads it.
func served(tb testing.TB, r *http.Request) *http.Request {
	tb.Helper()
	var got *http.Request
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, in *http.Request) {
		body, _ := io.ReadAll(in.Body)
		got = in.Clone(context.Background())
		got.Body = io.NopCloser(strings.NewReader(string(body)))
	}))
	defer server.Close()
	host := r.Host
	if host == "" {
		host = r.URL.Host
	}
	r.URL.Host, r.Host = strings.TrimPrefix(server.URL, "http://"), host
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		tb.Fatal(err)
	}
	_ = resp.Body.Close()
	return got
}

func TestSignature(t *testing.T) {
	a := MustOpen(t, access.Config{})
	key, err := a.CreateKey(t.Context(), []string{access.All}, 0)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	s := signer{key, "iotdevicegateway", now}
	other := s
	other.key.Secret = "not" + key.Secret
	show := func(r *http.Request) access.Credentials {
		return access.Credentials{Auth: []string{"sigv4"}, Remote: from("10.0.0.1"), Request: r}
	}
	const shadow = "http://gateway.local:8444/things/lamp/shadow?name=light"
	for name, tt := range map[string]struct {
		request *http.Request
		want    string // part of the error; empty: the key is in
	}{
		"GET":                   {s.request(t, "GET", shadow, ""), ""},
		"POST with a body":      {s.request(t, "POST", shadow, `{"state":{}}`), ""},
		"an encoded topic":      {s.request(t, "POST", "http://gateway.local/topics/a%2Fb%20c?qos=1", "x"), ""},
		"a topic with slashes":  {s.request(t, "POST", "http://gateway.local/topics/$aws/things/lamp/shadow/update", "{}"), ""},
		"iotdata":               {signer{key, "iotdata", now}.request(t, "GET", shadow, ""), ""},
		"another service":       {signer{key, "s3", now}.request(t, "GET", shadow, ""), "signed for the service"},
		"another secret":        {other.request(t, "GET", shadow, ""), "its signature is wrong"},
		"an hour late":          {signer{key, "iotdata", now.Add(-time.Hour)}.request(t, "GET", shadow, ""), "a clock is wrong"},
		"an hour early":         {signer{key, "iotdata", now.Add(time.Hour)}.request(t, "GET", shadow, ""), "a clock is wrong"},
		"a few minutes late":    {signer{key, "iotdata", now.Add(-9 * time.Minute)}.request(t, "GET", shadow, ""), ""},
		"a key that is not":     {signer{access.Key{ID: "ESAKX", Secret: "x"}, "iotdata", now}.request(t, "GET", shadow, ""), "no such access key"},
		"presigned":             {mustRequest(t, s.presigned(t, "http://gateway.local:8443/mqtt")), ""},
		"presigned, ended":      {mustRequest(t, signer{key, "iotdevicegateway", now.Add(-48 * time.Hour)}.presigned(t, "http://gateway.local/mqtt?X-Amz-Expires=86400")), "a clock is wrong"},
		"presigned, and longer": {mustRequest(t, signer{key, "iotdevicegateway", now.Add(-12 * time.Hour)}.presigned(t, "http://gateway.local/mqtt?X-Amz-Expires=86400")), ""},
		// AWS IoT wants the session token added after the signing.
		"a session token": {mustRequest(t, s.presigned(t, "http://gateway.local/mqtt")+"&X-Amz-Security-Token=abc"), ""},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := a.Authenticate(show(served(t, tt.request)))
			switch {
			case tt.want == "" && (err != nil || p.Name() != "key:"+key.ID):
				t.Errorf("%v", err)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("%v, want %s", err, tt.want)
			}
		})
	}
	t.Run("changed on its way", func(t *testing.T) {
		for part, change := range map[string]func(r *http.Request){
			"body":   func(r *http.Request) { r.Body = io.NopCloser(strings.NewReader(`{"state":null}`)) },
			"method": func(r *http.Request) { r.Method = http.MethodDelete },
			"path":   func(r *http.Request) { r.URL.Path, r.URL.RawPath = "/things/other/shadow", "" },
			"query":  func(r *http.Request) { r.URL.RawQuery = "name=other" },
			"host":   func(r *http.Request) { r.Host = "elsewhere" },
			"date": func(r *http.Request) {
				r.Header.Set("X-Amz-Date", now.Add(time.Minute).UTC().Format("20060102T150405Z"))
			},
		} {
			r := served(t, s.request(t, "POST", shadow, `{"state":{}}`))
			change(r)
			c := show(r)
			c.Remote = from("10.0.1." + string(rune('0'+len(part))))
			if _, err := a.Authenticate(c); err == nil {
				t.Errorf("another %s is taken", part)
			}
		}
	})
	t.Run("body is left to read", func(t *testing.T) {
		r := served(t, s.request(t, "POST", shadow, `{"state":{}}`))
		mustAuthenticate(t, a, show(r))
		if body, err := io.ReadAll(r.Body); err != nil || string(body) != `{"state":{}}` {
			t.Errorf("%q %v", body, err)
		}
	})
}

func mustRequest(tb testing.TB, url string) *http.Request {
	tb.Helper()
	r, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

// Whatever stands in the headers and the query: no panic, and nobody comes in.
func FuzzSignature(f *testing.F) {
	a, err := access.Open(access.Config{}, shadowtest.MustOpenStore(f), access.Options{})
	if err != nil {
		f.Fatal(err)
	}
	f.Add("AWS4-HMAC-SHA256 Credential=a/20260101/r/iotdata/aws4_request, SignedHeaders=host, Signature=00", "20260101T000000Z", "")
	f.Add("", "", "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=a/b/c/iot/aws4_request&X-Amz-SignedHeaders=host&X-Amz-Signature=x&X-Amz-Expires=1")
	f.Fuzz(func(t *testing.T, authorization, date, query string) {
		r := httptest.NewRequest(http.MethodGet, "/mqtt", nil)
		r.URL.RawQuery = query
		r.Header.Set("Authorization", authorization)
		r.Header.Set("X-Amz-Date", date)
		if p, err := a.Authenticate(access.Credentials{Auth: []string{"sigv4"}, Request: r}); err == nil {
			t.Errorf("%s is in", p.Name())
		}
	})
}

// Keys end after their time under power and with a deletion, with their
// connections; they outlive a restart, and so does the count.
func TestKeys(t *testing.T) {
	dir, ctx := t.TempDir(), t.Context()
	store := shadowtest.MustOpenStoreAt(t, dir)
	a := mustOpenAt(t, dir, store, access.Config{})
	short, err := a.CreateKey(ctx, nil, time.Nanosecond)
	if err != nil {
		t.Fatal(err)
	}
	long, err := a.CreateKey(ctx, []string{access.OwnThing}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	in := func(k access.Key) error {
		s := signer{k, "iotdata", time.Now()}
		_, err := a.Authenticate(access.Credentials{
			Auth: []string{"sigv4"}, Remote: from("10.0.0.1"), Request: served(t, s.request(t, "GET", "http://g/things/a/shadow", "")),
		})
		return err
	}
	if err := in(short); err == nil {
		t.Error("a key that has ended is in")
	}
	if err := in(long); err != nil {
		t.Error(err)
	}
	access.Expire(a, ctx)
	if keys := a.Keys(); len(keys) != 1 || keys[0].ID != long.ID || keys[0].Left == "" {
		t.Errorf("%+v", keys)
	}
	for _, k := range a.Keys() {
		if strings.Contains(k.ID+strings.Join(k.Policies, ""), long.Secret) {
			t.Error("the secret is shown")
		}
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	a = mustOpenAt(t, dir, shadowtest.MustOpenStoreAt(t, dir), access.Config{})
	if err := in(long); err != nil {
		t.Errorf("after a restart: %v", err)
	}
	live, ended := []string{"key:" + long.ID, "certificate:lamp", "anonymous"}, []string(nil)
	a.OnRevoke(func(_ string, of func(name, certificate string) bool) {
		for _, name := range live {
			if of(name, "") {
				ended = append(ended, name)
			}
		}
	})
	if err := a.DeleteKey(ctx, long.ID); err != nil {
		t.Fatal(err)
	}
	if len(ended) != 1 || ended[0] != live[0] {
		t.Errorf("ended %q", ended)
	}
	if err := in(long); err == nil {
		t.Error("a deleted key is in")
	}
	if _, err := a.CreateKey(ctx, []string{"none"}, 0); err == nil {
		t.Error("a key with a policy that there is not")
	}
}
