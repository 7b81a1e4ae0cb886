package localshadow_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"edgeshadow/localshadow"
	"edgeshadow/test/shadowtest"
)

// TestStore_Upgrade opens a store of before formats were numbered: all is
// there, and so is a copy, from which the old program could go on.
func TestStore_Upgrade(t *testing.T) {
	dir := t.TempDir()
	s := shadowtest.MustOpenStoreAt(t, dir)
	if err := s.Update(t.Context(), put("s/a", "1")); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	format := filepath.Join(dir, "store.format")
	if text, err := os.ReadFile(format); err != nil || string(text) != "1\n" {
		t.Fatalf("a new store has format %q, %v", text, err)
	}
	if err := os.Remove(format); err != nil {
		t.Fatal(err)
	}
	// An upgrade that was cut off left a part of a copy.
	if err := os.Mkdir(filepath.Join(dir, "store.copying"), 0o750); err != nil {
		t.Fatal(err)
	}

	s = shadowtest.MustOpenStoreAt(t, dir)
	if got := get(t, s, "s/a"); got != "1" {
		t.Errorf("after the upgrade: %q", got)
	}
	if err := s.Update(t.Context(), put("s/a", "2")); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{"store.format": true, "store.format-0": true, "store.copying": false} {
		if _, err := os.Stat(filepath.Join(dir, name)); (err == nil) != want {
			t.Errorf("%s: %v, want it there: %v", name, err, want)
		}
	}

	if err := os.RemoveAll(filepath.Join(dir, "store")); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(dir, "store.format-0"), filepath.Join(dir, "store")); err != nil {
		t.Fatal(err)
	}
	s = shadowtest.MustOpenStoreAt(t, dir)
	if got := get(t, s, "s/a"); got != "1" {
		t.Errorf("in the copy: %q", got)
	}
}

func TestStore_RefusesNewerFormat(t *testing.T) {
	dir := t.TempDir()
	if err := shadowtest.MustOpenStoreAt(t, dir).Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "store.format"), []byte("7\n"), 0o640); err != nil {
		t.Fatal(err)
	}
	_, err := localshadow.OpenStore(localshadow.Config{Path: dir}, nil)
	var newer *localshadow.NewerFormatError
	if !errors.As(err, &newer) || newer.Have != 7 || newer.Known != 1 {
		t.Fatalf("open: %v", err)
	}
	if !strings.Contains(newer.Hint(), filepath.Join(dir, "store.format-1")) {
		t.Errorf("hint: %s", newer.Hint())
	}
	if _, err := os.Stat(filepath.Join(dir, "store")); err != nil {
		t.Errorf("the store was touched: %v", err)
	}
}
