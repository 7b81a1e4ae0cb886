package main

import (
	"context"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// L21: on a machine without any network, not even a loopback, everything but the
// uplink begins at once: shadows, clients on a socket, identities of devices.
func TestRun_WithoutANetwork(t *testing.T) {
	dir := t.TempDir()
	mqtt := filepath.Join(dir, "mqtt.sock")
	d := mustRun(t, dir, `{address: "`+mqtt+`", protocol: unix}`, `cloud: {endpoint: "mqtt://cloud.example:1883"}
`, func(cmd *exec.Cmd) {
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
		if err := cmd.Start(); err != nil {
			t.Skipf("runs the daemon without a network, which takes root (sudo go test): %v", err)
		}
	})
	if out, err := d.command(t, "shadow", "update", "lamp", `{"state":{"desired":{"power":"on"}}}`); err != nil {
		t.Error(out, err)
	}
	if out, err := d.command(t, "access", "enroll", "lamp", "--out", dir); err != nil {
		t.Error(out, err)
	}
	if out, err := d.command(t, "pub", "-t", "a", "-m", "hello", "-q", "1", "--endpoint", "unix://"+mqtt); err != nil {
		t.Error(out, err)
	}
	d.await(t, "status tells why the uplink is down", func(context.Context) bool {
		out, err := d.command(t, "status")
		return err == nil && strings.Contains(out, "uplink   down since ") && strings.Contains(out, "cloud.example")
	})
}
