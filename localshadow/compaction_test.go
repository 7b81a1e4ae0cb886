package localshadow_test

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"edgeshadow/localshadow"
	"edgeshadow/test/shadowtest"
)

// What was overwritten is merged away while writing goes on, which never stands
// still for it, and what is left is all there in the next run.
func TestStore_MergesUnderLoad(t *testing.T) {
	dir := t.TempDir()
	var log bytes.Buffer
	s, err := localshadow.OpenStore(localshadow.Config{Path: dir},
		slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	if err != nil {
		t.Fatal(err)
	}
	const keys, rounds = 100, 40 // of 30 KiB: 3 MB, 40 times
	value := func(key, round int) string { return strings.Repeat(fmt.Sprintf("%04d %04d ", key, round), 3<<10) }
	most := 0
	for round := range rounds {
		var wg sync.WaitGroup
		for key := range keys {
			wg.Add(1)
			s.Submit(context.Background(), put(fmt.Sprintf("s/%03d", key), value(key, round)), func(err error) {
				defer wg.Done()
				if err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		most = max(most, localshadow.LooseTables(s))
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if most > 16 {
		t.Errorf("%d tables were loose at once", most)
	}
	if !strings.Contains(log.String(), "Lifetime L0 stalled for: 0s") {
		t.Errorf("writing stood still for the tables:\n%s", log.String())
	}
	tables, values := sizes(t, dir)
	if most := int64(48 << 20); tables > most {
		t.Errorf("%d MiB of tables for 3 of values, of %d that were written", tables>>20, keys*rounds*30>>10)
	}
	if values > 2<<20 {
		t.Errorf("%d KiB of value log, in which there is nothing", values>>10)
	}
	s = shadowtest.MustOpenStoreAt(t, dir)
	for key := range keys {
		if got, want := get(t, s, fmt.Sprintf("s/%03d", key)), value(key, rounds-1); got != want {
			t.Errorf("key %d has %.10q of %d bytes, want %.10q of %d", key, got, len(got), want, len(want))
		}
	}
}

// Each run leaves a table behind, however little it wrote; they don't pile up.
func TestStore_MergesWhatRunsLeave(t *testing.T) {
	dir := t.TempDir()
	for run := range 40 {
		s := shadowtest.MustOpenStoreAt(t, dir)
		if err := s.Update(t.Context(), put("s/a", fmt.Sprint(run))); err != nil {
			t.Fatal(err)
		}
		if n := localshadow.LooseTables(s); n > 17 {
			t.Fatalf("%d loose tables in run %d", n, run)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if got := get(t, shadowtest.MustOpenStoreAt(t, dir), "s/a"); got != "39" {
		t.Errorf("the value is that of run %q", got)
	}
}

// sizes are the bytes of the tables and of the value log.
func sizes(t *testing.T, dir string) (tables, values int64) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		switch filepath.Ext(path) {
		case ".sst":
			tables += info.Size()
		case ".vlog":
			values += info.Size()
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return tables, values
}
