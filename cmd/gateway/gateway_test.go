package gateway_test

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"edgeshadow/bridge/upstream"
	"edgeshadow/cmd/console"
	"edgeshadow/cmd/gateway"
	"edgeshadow/config"
	"edgeshadow/test/shadowtest"
)

// patience is how long a test waits for what must happen.
const patience = 30 * time.Second

// MustLoad loads a configuration with these sections and a store of its own in dir.
func MustLoad(tb testing.TB, dir, yaml string) *config.Config {
	tb.Helper()
	mustWriteConfig(tb, dir, yaml)
	cfg, err := config.Load(filepath.Join(dir, "edgeshadow.yaml"))
	if err != nil {
		tb.Fatal(err)
	}
	return cfg
}

func mustWriteConfig(tb testing.TB, dir, yaml string) {
	tb.Helper()
	text := "config_version: 1\nstore: {path: " + filepath.Join(dir, "data") + "}\n" + yaml
	if err := os.WriteFile(filepath.Join(dir, "edgeshadow.yaml"), []byte(text), 0o644); err != nil {
		tb.Fatal(err)
	}
}

// running is a gateway that runs until the test's cleanup, and its API.
type running struct {
	*gateway.Gateway
	*console.Client
}

// MustRun runs a gateway. Its uplink comes back quickly.
func MustRun(tb testing.TB, dir string, cfg *config.Config) running {
	tb.Helper()
	return MustRunWith(tb, dir, cfg, gateway.Options{})
}

// MustRunWith is MustRun with what else the options say.
func MustRunWith(tb testing.TB, dir string, cfg *config.Config, o gateway.Options) running {
	tb.Helper()
	socket := filepath.Join(dir, "api.sock")
	o.Socket, o.File = socket, filepath.Join(dir, "edgeshadow.yaml")
	if o.Log == nil {
		o.Log = shadowtest.Log(tb)
	}
	o.Backoff = upstream.Backoff{Min: 10 * time.Millisecond, Max: 100 * time.Millisecond, Stable: time.Second}
	g, err := gateway.Open(cfg, o)
	if err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wait sync.WaitGroup
	wait.Go(func() {
		if err := g.Run(ctx); err != nil {
			tb.Errorf("the gateway ended: %v", err)
		}
	})
	tb.Cleanup(func() {
		cancel()
		wait.Wait()
	})
	return running{g, console.NewClient(socket)}
}

// await looks until something is so.
func await(tb testing.TB, what string, look func() bool) {
	tb.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); !look(); <-tick.C {
		if time.Now().After(deadline) {
			tb.Fatalf("not in %v: %s", patience, what)
		}
	}
}
