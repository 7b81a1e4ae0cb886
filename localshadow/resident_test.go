package localshadow_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"edgeshadow/test/shadowtest"
)

// Tables that were written, or merged, don't stay in memory, and can be read.
func TestStore_TablesLeaveMemory(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	s := shadowtest.MustOpenStoreAt(t, dir)
	const keys = 1000
	value := func(key int) string { return strings.Repeat(fmt.Sprintf("%04d ", key), 4<<10) }
	for key := range keys { // 20 MB
		if err := s.Update(t.Context(), put(fmt.Sprintf("s/%04d", key), value(key))); err != nil {
			t.Fatal(err)
		}
	}
	size, _ := sizes(t, dir)
	if size < 8<<20 {
		t.Fatalf("only %d bytes of tables", size)
	}
	// The last of them may be on its way.
	for deadline := time.Now().Add(30 * time.Second); mustResident(t, dir) > 5<<10; {
		if time.Now().After(deadline) {
			t.Fatalf("%d KiB of %d are in memory", mustResident(t, dir), size>>10)
		}
	}
	for key := range keys {
		if got, want := get(t, s, fmt.Sprintf("s/%04d", key)), value(key); got != want {
			t.Errorf("key %d has %.10q of %d bytes, want %.10q of %d", key, got, len(got), want, len(want))
		}
	}
}

// mustResident is how much of the tables below dir is in memory, in KiB.
func mustResident(t *testing.T, dir string) int {
	t.Helper()
	text, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		t.Skipf("reads /proc/self/smaps, of Linux: %v", err)
	}
	sum, ours := 0, false
	for line := range strings.Lines(string(text)) {
		var n int
		if _, err := fmt.Sscanf(line, "Rss: %d kB", &n); err != nil {
			if fields := strings.Fields(line); !strings.HasSuffix(fields[0], ":") { // the mapping that follows
				name := fields[len(fields)-1]
				ours = strings.HasPrefix(name, dir) && strings.HasSuffix(name, ".sst")
			}
		} else if ours {
			sum += n
		}
	}
	return sum
}
