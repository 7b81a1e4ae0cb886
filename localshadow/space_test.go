package localshadow_test

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"edgeshadow/localshadow"
)

// mustMount mounts a tmpfs of so many MiB.
func mustMount(t *testing.T, size string) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		t.Skipf("mounts a small tmpfs, which takes root (sudo go test, or a container with CAP_SYS_ADMIN): %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	return dir
}

func TestStore_DiskFull(t *testing.T) {
	dir := mustMount(t, "160m")
	s, err := localshadow.OpenStore(localshadow.Config{Path: dir}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Update(t.Context(), put("s/a", "1")); err != nil {
		t.Fatal(err)
	}
	filler := filepath.Join(dir, "filler")
	f, err := os.Create(filler)
	if err != nil {
		t.Fatal(err)
	}
	for block := make([]byte, 1<<20); s.Stats().DiskFree >= s.Stats().DiskNeed; {
		if _, err := f.Write(block); err != nil {
			t.Fatal(err)
		}
	}
	f.Close()
	err = s.Update(t.Context(), put("s/a", "2"))
	var full *localshadow.DiskFullError
	if !errors.Is(err, localshadow.ErrDiskFull) || !errors.As(err, &full) || full.Hint() == "" {
		t.Errorf("write to a full disk: %v", err)
	}
	if got := get(t, s, "s/a"); got != "1" {
		t.Errorf("after a refused write: %q", got)
	}
	if st := s.Stats(); !st.DiskFull || st.Error != "" {
		t.Errorf("stats: %+v", st)
	}
	if err := s.Update(t.Context(), func(tx *localshadow.Tx) error { _, err := tx.Get([]byte("s/a")); return err }); err != nil {
		t.Errorf("read in the queue: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if _, err := localshadow.OpenStore(localshadow.Config{Path: dir}, nil); !errors.Is(err, localshadow.ErrDiskFull) {
		t.Errorf("open on a full disk: %v", err)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	if s, err = localshadow.OpenStore(localshadow.Config{Path: dir}, nil); err != nil {
		t.Fatal(err)
	}
	if err := s.Update(t.Context(), put("s/a", "3")); err != nil || get(t, s, "s/a") != "3" {
		t.Errorf("with space again: %v", err)
	}
	if st := s.Stats(); st.Quarantined != "" || st.DiskFull {
		t.Errorf("stats: %+v", st)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
