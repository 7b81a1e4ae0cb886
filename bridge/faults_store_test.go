package bridge_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"edgeshadow/bridge"
	"edgeshadow/test/cloudtest"
)

// The fault points of SYNC e2 that the disk brings, and what is left of a shadow
// that a message was late for.

// F-18: the answer to a get that an event has overtaken is older than what is
// held: it takes nothing back, and nothing is sent for it.
func TestFaults_F18_GetOlderThanAnEvent(t *testing.T) {
	inSite(t, bridge.Default(), func(t *testing.T, s *site) {
		s.synced(base)
		s.link.Turn(cloudtest.Knobs{
			Delay: func(topic string) time.Duration {
				if strings.HasSuffix(topic, "/get/accepted") {
					return 2 * time.Second
				}
				return 0
			},
			Reorder: cloudtest.Always("/update/accepted"),
		})
		s.link.KillSession()
		s.link.Connect(false)
		s.wait(6 * time.Second) // the get has left, its answer is on its way
		if got := s.state(); got != "asking" {
			t.Fatalf("the shadow is %s", got)
		}
		since := s.requests()
		s.app(object{"desired": object{"d": 2}})
		s.wait(3 * time.Second) // the event is handed over, then the answer
		s.equal(object{"desired": object{"d": 2}, "reported": object{"r": 1}})
		s.link.Turn(cloudtest.Knobs{})
		s.heal()
		s.equal(object{"desired": object{"d": 2}, "reported": object{"r": 1}})
		s.sent(since, map[string]int{"get": 1}) // asked again
		s.expectLost()
	})
}

// F-25: while the disk is full nothing of the cloud is taken in, and nothing
// acknowledged; local and cloud's edits meet when there is space again.
func TestFaults_F25_DiskFull(t *testing.T) {
	disk := t.TempDir()
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=160m"); err != nil {
		t.Skipf("mounts a small tmpfs, which takes root (sudo go test, or a container with CAP_SYS_ADMIN): %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(disk, 0); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		s := &site{t: t, path: filepath.Join(disk, "store"), cfg: bridge.Default(), cloud: cloudtest.New()}
		s.start()
		defer func() { s.close() }()
		s.synced(base)
		filler := filepath.Join(disk, "filler")
		fill(t, filler, func() bool { return s.store.Stats().DiskFree < s.store.Stats().DiskNeed })
		s.app(object{"desired": object{"d": 2}})
		s.wait(time.Minute)
		if got := s.here()["desired"].(map[string]any)["d"]; got != float64(1) {
			t.Errorf("on a full disk d is %v", got)
		}
		if _, number, _ := s.sync.Base(lamp); number != 1 {
			t.Errorf("on a full disk the base is at %d", number)
		}
		if got := s.state(); got == "clean" {
			t.Error("the shadow counts as clean")
		}
		if err := os.Remove(filler); err != nil {
			t.Fatal(err)
		}
		s.write(object{"reported": object{"own": 1}})
		s.heal()
		s.equal(object{"desired": object{"d": 2}, "reported": object{"r": 1, "own": 1}})
		s.expectLost()
	})
}

// fill writes a file until done.
func fill(t *testing.T, path string, done func() bool) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for block := make([]byte, 1<<20); !done(); {
		if _, err := f.Write(block); err != nil {
			t.Fatal(err)
		}
	}
}

// F-26: the last records on the disk are torn. What they said of the cloud is
// found again, wherever the tear is.
func TestFaults_F26_TornTail(t *testing.T) {
	for _, tear := range []int{1, 40, 200, 600} {
		inSite(t, bridge.Default(), func(t *testing.T, s *site) {
			s.synced(base)
			s.app(object{"desired": object{"d": 2}})
			s.app(object{"desired": object{"e": 3}})
			s.write(object{"reported": object{"own": 1}})
			s.wait(5 * time.Second)
			after := filepath.Join(t.TempDir(), "after")
			if err := copyTree(after, s.path); err != nil {
				t.Fatal(err)
			}
			tearTail(t, after, tear)
			s.close()
			s.path = after
			s.start()
			s.write(object{"reported": object{"own": 2}})
			s.link.Connect(false)
			s.heal()
			s.equal(object{"desired": object{"d": 2, "e": 3}, "reported": object{"r": 1, "own": 2}})
		})
	}
}

// tearTail overwrites the last bytes that were logged.
func tearTail(t *testing.T, store string, n int) {
	t.Helper()
	torn := 0
	err := filepath.WalkDir(store, func(path string, _ os.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".mem" {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		end := len(bytes.TrimRight(data, "\x00"))
		if end < n {
			return nil
		}
		torn++
		clear(data[end-n/2-1:])
		for i := end - n; i < end-n/2-1; i++ {
			data[i] ^= 0xa5
		}
		return os.WriteFile(path, data, 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
	if torn != 1 {
		t.Fatalf("%d logs torn", torn)
	}
}

// F-33: a disk that takes 100 ms for an fsync slows what is sent, and nothing
// piles up: both sides are equal, and the writes of meanwhile were few messages.
func TestFaults_F33_SlowDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &site{t: t, path: t.TempDir(), cfg: bridge.Default(), cloud: cloudtest.New(), fsync: 100 * time.Millisecond}
		s.start()
		defer func() { s.close() }()
		s.synced(base)
		since, began := s.requests(), time.Now()
		for i := range 100 {
			s.write(object{"reported": object{"own": i}})
			if i%10 == 0 {
				s.app(object{"desired": object{"d": i}})
			}
		}
		s.wait(5 * time.Second)
		s.equal(object{"desired": object{"d": 90}, "reported": object{"r": 1, "own": 99}})
		if n, most := since()["update"], int(time.Since(began)/(500*time.Millisecond)); n > most || most > 80 {
			t.Errorf("100 writes in %v made %d updates", time.Since(began), n)
		}
		s.heal()
		s.expectLost()
	})
}
