package gateway_test

import (
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"edgeshadow/adapters"
	"edgeshadow/bridge/upstream"
	"edgeshadow/cmd/gateway"
	"edgeshadow/localshadow"
	"edgeshadow/localshadow/shadow"
)

// mustListenAsSystemd has the gateway of this process tell the test what it would
// tell systemd, which wants a sign of life each 150 ms.
func mustListenAsSystemd(t *testing.T) *net.UnixConn {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "notify")
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	t.Setenv("NOTIFY_SOCKET", socket)
	t.Setenv("WATCHDOG_USEC", "150000")
	return l
}

// systemd is told of the start, of life, of a reload and of the stop.
func TestGateway_Notify(t *testing.T) {
	l := mustListenAsSystemd(t)
	t.Setenv("WATCHDOG_PID", strconv.Itoa(os.Getpid()))

	var told []string
	awaitTold := func(what string) {
		t.Helper()
		for deadline := time.Now().Add(patience); !slices.Contains(told, what); {
			buf := make([]byte, 4096)
			if err := l.SetReadDeadline(deadline); err != nil {
				t.Fatal(err)
			}
			n, err := l.Read(buf)
			if err != nil {
				t.Fatalf("not told %s, but %q: %v", what, told, err)
			}
			told = append(told, strings.Split(string(buf[:n]), "\n")...)
		}
	}
	t.Run("running", func(t *testing.T) {
		dir := t.TempDir()
		g := MustRun(t, dir, MustLoad(t, dir, "broker: {listeners: [{address: '127.0.0.1:0'}]}"))
		awaitTold("READY=1")
		awaitTold("WATCHDOG=1")
		told = nil
		awaitTold("WATCHDOG=1") // and again
		if _, err := g.Gateway.Reload(); err != nil {
			t.Error(err)
		}
		awaitTold("RELOADING=1")
		told = nil
		awaitTold("READY=1")
	})
	awaitTold("STOPPING=1")
}

// A store that does not get on leaves systemd without a sign, and goes on to give
// them when it does.
func TestGateway_WatchdogStarves(t *testing.T) {
	l := mustListenAsSystemd(t)
	fed := func(patience time.Duration) bool {
		buf := make([]byte, 4096)
		for deadline := time.Now().Add(patience); ; {
			if err := l.SetReadDeadline(deadline); err != nil {
				t.Fatal(err)
			}
			n, err := l.Read(buf)
			if err != nil {
				return false
			}
			if slices.Contains(strings.Split(string(buf[:n]), "\n"), "WATCHDOG=1") {
				return true
			}
		}
	}
	dir := t.TempDir()
	g := MustRun(t, dir, MustLoad(t, dir, "broker: {listeners: [{address: '127.0.0.1:0'}]}"))
	if !fed(patience) {
		t.Fatal("the watchdog is not fed")
	}
	hold, held := make(chan struct{}), make(chan error, 1)
	go func() {
		held <- g.Service().Sync(t.Context(), shadow.ID{Thing: "lamp"}, func(*localshadow.SyncTx) error { <-hold; return nil })
	}()
	for fed(time.Second) { // what was sent before it held, and then nothing for six times the interval
	}
	close(hold)
	if err := <-held; err != nil {
		t.Error(err)
	}
	if !fed(patience) {
		t.Error("the watchdog is not fed again")
	}
}

// A bus whose step does not end starves the watchdog; one that rests, or is at a
// step that may take its time, does not.
func TestStuckBus(t *testing.T) {
	now := time.Now()
	at := func(ago time.Duration) adapters.BusStats {
		return adapters.BusStats{Bus: "rs485", BusySince: new(now.Add(-ago))}
	}
	if err := gateway.StuckBus([]adapters.BusStats{{Bus: "plc"}, at(time.Minute)}, now); err != nil {
		t.Errorf("one rests, one is busy: %v", err)
	}
	err := gateway.StuckBus([]adapters.BusStats{{Bus: "plc"}, at(4 * time.Minute)}, now)
	if err == nil || !strings.Contains(err.Error(), "bus rs485 is stuck since ") {
		t.Errorf("one hangs: %v", err)
	}
}

// An uplink that moves feeds the watchdog, also while the cloud is gone for days.
func TestStuck(t *testing.T) {
	now := time.Now()
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	for _, tt := range []struct {
		name  string
		s     upstream.Status
		stuck bool
	}{
		{"just up", upstream.Status{State: upstream.Up, Since: ago(time.Second)}, false},
		{"heard", upstream.Status{State: upstream.Up, Since: ago(72 * time.Hour), Heard: ago(40 * time.Second)}, false},
		{"up and silent", upstream.Status{State: upstream.Up, Since: ago(72 * time.Hour), Heard: ago(5 * time.Minute)}, true},
		{"connecting", upstream.Status{State: upstream.Connecting, Since: ago(40 * time.Second)}, false},
		{"connecting for ever", upstream.Status{State: upstream.Connecting, Since: ago(10 * time.Minute)}, true},
		{"between attempts", upstream.Status{State: upstream.Down, Since: ago(2 * time.Minute), Failures: 1000}, false},
		{"no more attempts", upstream.Status{State: upstream.Down, Since: ago(20 * time.Minute)}, true},
		{"not begun", upstream.Status{State: upstream.Down}, false},
	} {
		if err := gateway.Stuck(tt.s, now); (err != nil) != tt.stuck {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}
