package main

import (
	"net"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// The daemon tells systemd that it is ready, that it lives, again and again, and
// that it stops, as Type=notify with WatchdogSec has it.
func TestRun_Notify(t *testing.T) {
	dir := t.TempDir()
	socket := filepath.Join(dir, "notify")
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := l.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	var told []string
	await := func(what string) {
		t.Helper()
		for buf := make([]byte, 4096); !slices.Contains(told, what); {
			n, err := l.Read(buf)
			if err != nil {
				t.Fatalf("not told %s, but %q: %v", what, told, err)
			}
			told = append(told, strings.Split(string(buf[:n]), "\n")...)
		}
	}
	d := mustRun(t, dir, `{address: "127.0.0.1:0"}`, "", func(cmd *exec.Cmd) {
		cmd.Env = append(cmd.Env, "NOTIFY_SOCKET="+socket, "WATCHDOG_USEC=150000")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
	})
	await("READY=1")
	for range 3 {
		await("WATCHDOG=1")
		told = nil
	}
	d.stop(t)
	await("STOPPING=1")
}
