package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"edgeshadow/cmd/console"
)

// patience is how long a test waits for what must happen.
const patience = 20 * time.Second

// daemon is edgeshadow run in a process of its own, with its state in dir.
type daemon struct {
	*console.Client
	dir, address string // of its MQTT listener
	cmd          *exec.Cmd
	log          bytes.Buffer
	ended        error
	done         chan struct{}
}

// MustRunDaemon starts a daemon with one plain listener on address and the rest
// of its configuration as given, and waits until it answers. The cleanup kills
// what still runs.
func MustRunDaemon(tb testing.TB, dir, address, more string) *daemon {
	tb.Helper()
	d := mustRun(tb, dir, fmt.Sprintf("{address: %q}", address), more, started(tb))
	d.address = address
	return d
}

// started starts a daemon as it is.
func started(tb testing.TB) func(*exec.Cmd) {
	return func(cmd *exec.Cmd) {
		if err := cmd.Start(); err != nil {
			tb.Fatal(err)
		}
	}
}

// mustRun leaves to start how the daemon is started.
func mustRun(tb testing.TB, dir, listeners, more string, start func(*exec.Cmd)) *daemon {
	tb.Helper()
	d := mustLaunch(tb, dir, listeners, more, start)
	d.await(tb, "the daemon answers", func(ctx context.Context) bool {
		_, err := d.Status(ctx)
		return err == nil
	})
	return d
}

// mustLaunch does not wait for it to answer.
func mustLaunch(tb testing.TB, dir, listeners, more string, start func(*exec.Cmd)) *daemon {
	tb.Helper()
	file := filepath.Join(dir, "edgeshadow.yaml")
	yaml := fmt.Sprintf("config_version: 1\ngateway: {thing: gw}\nstore: {path: %s}\nbroker: {listeners: [%s]}\n%s",
		filepath.Join(dir, "data"), listeners, more)
	if err := os.WriteFile(file, []byte(yaml), 0o644); err != nil {
		tb.Fatal(err)
	}
	socket := filepath.Join(dir, "api.sock")
	d := &daemon{Client: console.NewClient(socket), dir: dir, done: make(chan struct{})}
	d.cmd = exec.Command(MustFindSelf(tb), "run", "-c", file)
	d.cmd.Env = append(os.Environ(), "EDGESHADOW_SOCKET="+socket)
	d.cmd.Stdout, d.cmd.Stderr = &d.log, &d.log
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // a test that is killed leaves no daemon
	start(d.cmd)
	var wait sync.WaitGroup
	wait.Go(func() {
		d.ended = d.cmd.Wait()
		close(d.done)
	})
	tb.Cleanup(func() {
		_ = d.cmd.Process.Kill()
		wait.Wait()
		if tb.Failed() {
			tb.Logf("daemon in %s: %v\n%s", dir, d.ended, d.log.String())
		}
	})
	return d
}

// await looks until something is so, or the daemon ends.
func (d *daemon) await(tb testing.TB, what string, look func(context.Context) bool) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), patience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !look(ctx) {
		select {
		case <-d.done:
			tb.Fatalf("the daemon ended (%v) before: %s", d.ended, what)
		case <-ctx.Done():
			tb.Fatalf("not in %v: %s", patience, what)
		case <-tick.C:
		}
	}
}

// kill is kill -9.
func (d *daemon) kill() {
	_ = d.cmd.Process.Kill()
	<-d.done
}

// stop is what systemd does.
func (d *daemon) stop(tb testing.TB) {
	tb.Helper()
	if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		tb.Fatal(err)
	}
	select {
	case <-d.done:
	case <-time.After(patience):
		tb.Fatal("SIGTERM does not end the daemon")
	}
	if d.ended != nil {
		tb.Errorf("ended with %v after SIGTERM", d.ended)
	}
}
