package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"edgeshadow/test/porttest"
)

// SIGHUP reloads and ends nothing: also not when the configuration is faulty.
func TestRun_Hangup(t *testing.T) {
	dir := t.TempDir()
	d := MustRunDaemon(t, dir, porttest.MustFindAddress(t), "")
	file := filepath.Join(dir, "edgeshadow.yaml")
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	hangup := func(yaml string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(yaml), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := d.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
	}
	limit := func(ctx context.Context) int64 {
		s, err := d.Status(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return s.MemoryLimit
	}
	hangup("nonsense: true\n")
	hangup(strings.Replace(string(good), "gateway: {thing: gw}", "gateway: {thing: gw, memory: 99MiB}", 1))
	d.await(t, "the new bound of memory is in force", func(ctx context.Context) bool { return limit(ctx) == 99<<20 })
	d.stop(t)
}
