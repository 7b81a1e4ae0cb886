package broker_test

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"edgeshadow/localshadow/access"
	"edgeshadow/localshadow/broker"
	"edgeshadow/test/porttest"
)

// Certificates are swapped, listeners come and go, and nobody whose listener
// stays notices.
func TestBroker_Prepare(t *testing.T) {
	one, two := MustOpenCA(t), MustOpenCA(t)
	files := t.TempDir()
	own := func(ca *access.CA) {
		pair, err := ca.ServerCertificate(nil)
		if err != nil {
			t.Fatal(err)
		}
		mustWritePair(t, files, pair)
		mustWrite(t, filepath.Join(files, "ca.crt"), ca.PEM())
	}
	own(one)
	secured := broker.Listener{Address: porttest.MustFindAddress(t), TLS: &broker.TLS{
		Certificate: filepath.Join(files, "s.crt"), Key: filepath.Join(files, "s.key"), ClientCA: filepath.Join(files, "ca.crt"),
	}, Auth: []string{access.Certificate}}
	plain := broker.Listener{Address: porttest.MustFindAddress(t)}
	b := MustRun(t, broker.Config{Listeners: []broker.Listener{secured, plain}}, newHeld(), nil)

	old := mustConnect(t, b, "old", at("ssl://"+secured.Address, mustEnroll(t, one, "old")))
	leaving := mustConnect(t, b, "leaving", at("tcp://"+plain.Address, nil))

	// What can't be done changes nothing.
	if _, _, err := b.Prepare(broker.Config{Listeners: []broker.Listener{{Address: porttest.MustFindAddress(t)}, {Address: "192.0.2.1:1"}}}); err == nil {
		t.Fatal("an address of another machine is bound")
	}
	fresh := broker.Listener{Address: porttest.MustFindAddress(t)}
	cfg := broker.Config{Listeners: []broker.Listener{fresh, secured}}
	_, discard, err := b.Prepare(cfg)
	if err != nil {
		t.Fatal(err)
	}
	discard()
	if c, err := net.Dial("tcp", fresh.Address); err == nil {
		_ = c.Close()
		t.Error("a discarded listener listens")
	}

	own(two)
	commit, _, err := b.Prepare(cfg)
	if err != nil {
		t.Fatal(err)
	}
	commit()
	mustConnect(t, b, "new", at("ssl://"+secured.Address, mustEnroll(t, two, "new")))
	mustConnect(t, b, "fresh", at("tcp://"+fresh.Address, nil))
	if token := newClient(b, "stranger", at("ssl://"+secured.Address, mustEnroll(t, one, "stranger"))).Connect(); !token.WaitTimeout(patience) || token.Error() == nil {
		t.Error("a client of the old authority is in")
	}
	if c, err := net.Dial("tcp", plain.Address); err == nil {
		_ = c.Close()
		t.Error("a listener that is gone listens")
	}
	old.mustSubscribe(t, "x") // and is as it was
	if got, want := []string{b.Addrs()[0].String(), b.Addrs()[1].String()}, []string{fresh.Address, secured.Address}; !cmp.Equal(got, want) {
		t.Errorf("addresses %q, want %q", got, want)
	}
	awaitStats(t, b, "rid of the client whose listener is gone", func(broker.Stats) bool { return !leaving.IsConnectionOpen() })
}

// A listener may be widened to every address, and narrowed again: the sockets
// overlap for a moment.
func TestBroker_PrepareOverlap(t *testing.T) {
	narrow := broker.Listener{Address: porttest.MustFindAddress(t)}
	_, port, err := net.SplitHostPort(narrow.Address)
	if err != nil {
		t.Fatal(err)
	}
	wide := broker.Listener{Address: ":" + port, Auth: []string{access.Anonymous}, Insecure: true}
	with := func(l broker.Listener) broker.Config { return broker.Config{Listeners: []broker.Listener{l}} }
	b := MustRun(t, with(narrow), newHeld(), nil)
	_, discard, err := b.Prepare(with(wide))
	if err != nil {
		t.Fatal(err)
	}
	discard()
	mustConnect(t, b, "narrow", at("tcp://"+narrow.Address, nil))
	for i, l := range []broker.Listener{wide, narrow} {
		commit, _, err := b.Prepare(with(l))
		if err != nil {
			t.Fatal(err)
		}
		commit()
		mustConnect(t, b, fmt.Sprint(i), at("tcp://"+narrow.Address, nil))
	}
	// Afterwards it is taken again, for us too.
	if err := broker.New(with(narrow), newHeld(), nil, nil).Listen(); err == nil {
		t.Error("an address is bound twice")
	}
	if err := broker.New(with(wide), newHeld(), nil, nil).Listen(); err == nil {
		t.Error("an address is bound beside another")
	}
}

func mustWrite(tb testing.TB, path string, data []byte) {
	tb.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		tb.Fatal(err)
	}
}
