package access_test

import (
	"bytes"
	"crypto/elliptic"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"edgeshadow/localshadow/access"
	"edgeshadow/test/shadowtest"
)

// desk serves /enroll over TLS.
type desk struct {
	*access.Access
	server *httptest.Server
}

func mustServe(tb testing.TB, dir string) desk {
	tb.Helper()
	a := mustOpenAt(tb, dir, shadowtest.MustOpenStoreAt(tb, dir), access.Config{})
	d := desk{a, httptest.NewTLSServer(a.Public())}
	tb.Cleanup(d.server.Close)
	return d
}

func (d desk) token(tb testing.TB, thing string, ttl time.Duration) string {
	tb.Helper()
	text, err := d.Token(tb.Context(), thing, ttl)
	if err != nil {
		tb.Fatal(err)
	}
	return text
}

// redeem trades a token for the certificate of a request.
func (d desk) redeem(tb testing.TB, token string, request []byte) (int, string) {
	tb.Helper()
	r, err := http.NewRequest(http.MethodPost, d.server.URL+"/enroll", bytes.NewReader(request))
	if err != nil {
		tb.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	resp, err := d.server.Client().Do(r)
	if err != nil {
		tb.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		tb.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func TestToken(t *testing.T) {
	d := mustServe(t, t.TempDir())
	csr := request(t, "lamp", ecKey(t, elliptic.P256()))
	token := d.token(t, "lamp", access.DefaultTokenTime)
	status, body := d.redeem(t, token, csr)
	if status != 200 || mustParse(t, body).Subject.CommonName != "lamp" {
		t.Fatal(status, body)
	}
	if status, body = d.redeem(t, token, csr); status != 403 || !strings.Contains(body, "no such token") {
		t.Errorf("a second time: %d %s", status, body)
	}
	// However it is typed; and the thing's name may be left to the token.
	status, body = d.redeem(t, " "+strings.ToLower(d.token(t, "pump", access.DefaultTokenTime)), request(t, "", ecKey(t, elliptic.P256())))
	if status != 200 || mustParse(t, body).Subject.CommonName != "pump" {
		t.Errorf("%d %s", status, body)
	}
	if status, body = d.redeem(t, d.token(t, "lamp", time.Nanosecond), csr); status != 403 {
		t.Errorf("after its time: %d %s", status, body)
	}
	if _, err := d.Token(t.Context(), "a/b", access.DefaultTokenTime); err == nil {
		t.Error("a token for a name that no thing has")
	}
	for _, ttl := range []time.Duration{-time.Second, 0, 1000 * time.Hour} {
		if _, err := d.Token(t.Context(), "a", ttl); err == nil {
			t.Errorf("a token for %s", ttl)
		}
	}
	for _, i := range mustList(t, d.Access) {
		if i.By != "token" {
			t.Errorf("%+v", i)
		}
	}
}

func mustList(tb testing.TB, a *access.Access) []access.Issued {
	tb.Helper()
	all, err := a.List()
	if err != nil {
		tb.Fatal(err)
	}
	return all
}

// A token has five tries with a request that can't be signed, and is for its
// thing alone.
func TestToken_Tries(t *testing.T) {
	d := mustServe(t, t.TempDir())
	token := d.token(t, "lamp", access.DefaultTokenTime)
	other := request(t, "other", ecKey(t, elliptic.P256()))
	for range 5 {
		if status, body := d.redeem(t, token, other); status != 400 || !strings.Contains(body, `is \"other\", not lamp`) {
			t.Fatal(status, body)
		}
	}
	if status, body := d.redeem(t, token, request(t, "lamp", ecKey(t, elliptic.P256()))); status != 403 {
		t.Errorf("%d %s", status, body)
	}
	if all := mustList(t, d.Access); len(all) != 0 {
		t.Errorf("%+v", all)
	}
}

// A token, and the count of its time, outlive a restart.
func TestToken_Restart(t *testing.T) {
	dir := t.TempDir()
	store := shadowtest.MustOpenStoreAt(t, dir)
	a := mustOpenAt(t, dir, store, access.Config{})
	token, err := a.Token(t.Context(), "lamp", access.DefaultTokenTime)
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	d := mustServe(t, dir)
	if status, body := d.redeem(t, token, request(t, "lamp", ecKey(t, elliptic.P256()))); status != 200 {
		t.Errorf("%d %s", status, body)
	}
}

func TestEnroll_HTTP(t *testing.T) {
	d := mustServe(t, t.TempDir())
	client := d.server.Client()
	resp, err := client.Get(d.server.URL + "/enroll")
	if err != nil {
		t.Fatal(err)
	}
	ca, _ := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if c := mustParse(t, string(ca)); !c.IsCA {
		t.Error(c.Subject)
	}
	post := func(body string) (*http.Response, string) {
		resp, err := client.Post(d.server.URL+"/enroll", "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, _ := io.ReadAll(resp.Body)
		return resp, string(text)
	}
	body, err := json.Marshal(map[string]string{"token": d.token(t, "lamp", access.DefaultTokenTime), "csr": string(request(t, "lamp", ecKey(t, elliptic.P256())))})
	if err != nil {
		t.Fatal(err)
	}
	resp, text := post(string(body))
	var b access.Bundle
	if err := json.Unmarshal([]byte(text), &b); err != nil || resp.StatusCode != 200 || mustParse(t, b.CA).Subject.CommonName == "" {
		t.Errorf("%d %s %v", resp.StatusCode, text, err)
	}
	if resp, text = post("hello"); resp.StatusCode != 400 {
		t.Errorf("%d %s", resp.StatusCode, text)
	}
	if resp, text = post(strings.Repeat("x", 20<<10)); resp.StatusCode != 413 {
		t.Errorf("%d %s", resp.StatusCode, text)
	}
	// Guessing slows down, and the client is told for how long.
	for range 6 {
		_, _ = post(`{"token":"GUESS","csr":""}`)
	}
	if resp, text = post(`{"token":"GUESS","csr":""}`); resp.StatusCode != 429 || resp.Header.Get("Retry-After") == "" {
		t.Errorf("%d %s", resp.StatusCode, text)
	}
	// Without TLS a token would be read on its way.
	plain := httptest.NewServer(d.Public())
	defer plain.Close()
	if resp, err := http.Post(plain.URL+"/enroll", "application/json", strings.NewReader(string(body))); err != nil || resp.StatusCode != 403 {
		t.Errorf("%v %v", resp, err)
	}
}

// A refusal has one entry, however often it happens, with the statement that
// would help; strangers can't make it grow without end.
func TestDenied(t *testing.T) {
	a := MustOpen(t, access.Config{})
	p := mustAuthenticate(t, a, withCertificate(t, "lamp", "certificate"))
	for range 30 {
		p.Refused("iot:Publish", "secret")
	}
	p.Refused("iot:Receive", "a")
	p.Refused("iot:Receive", "b")
	for range 2 {
		_, _ = a.Authenticate(withPassword("eve", "x", "10.0.0.7"))
	}
	var got []string
	for _, d := range a.Denied() {
		got = append(got, strings.Join([]string{d.Principal, d.Action, d.Resource, d.Why, d.Allow}, " | "))
		if d.Action == "iot:Publish" && d.Count != 30 {
			t.Errorf("%+v", d)
		}
	}
	want := []string{
		"user:eve | authenticate | :1883 | no such user, or a wrong password | ",
		`certificate:lamp | iot:Receive | a | no statement allows it | {"Effect":"Allow","Action":"iot:Receive","Resource":"arn:aws:iot:*:*:topic/a"}`,
		`certificate:lamp | iot:Publish | secret | no statement allows it | {"Effect":"Allow","Action":"iot:Publish","Resource":"arn:aws:iot:*:*:topic/secret"}`,
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	for _, port := range []string{"1", "2"} {
		a.Barred(":8883", "192.0.2.1:"+port, "lamp", "unknown authority")
		a.Barred(":8444", "[::ffff:192.0.2.9]:"+port, "", "unknown authority")
	}
	if d := a.Denied()[0]; d.Remote != "192.0.2.9" || d.Principal != "" || d.Count != 2 {
		t.Errorf("%+v", d)
	}
	if d := a.Denied()[1]; d.Remote != "192.0.2.1" || d.Principal != "certificate:lamp" || d.Why != "unknown authority" || d.Count != 2 {
		t.Errorf("%+v", d)
	}
	if s := a.Stats(); s.Denied != 37 {
		t.Errorf("%+v", s)
	}
	for i := range 1000 {
		p.Refused("iot:Publish", strings.Repeat("x", i))
	}
	if n := len(a.Denied()); n != 256 {
		t.Errorf("%d are remembered", n)
	}
}
