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

	"edgeshadow/bridge/upstream"
	"edgeshadow/cmd/gateway"
)

// systemd is told of the start, of life, of a reload and of the stop.
func TestGateway_Notify(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "notify")
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	t.Setenv("NOTIFY_SOCKET", socket)
	t.Setenv("WATCHDOG_USEC", "150000")
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
