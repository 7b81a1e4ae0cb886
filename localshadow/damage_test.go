package localshadow_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"edgeshadow/localshadow"
	"edgeshadow/test/shadowtest"
)

const filled = 3000

// mustFill makes a store that has tables and a MANIFEST of several entries. One
// that is not closed is left by a process that was killed.
func mustFill(t *testing.T, closed bool) (dir string) {
	t.Helper()
	dir = t.TempDir()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"=fill", "DIR="+dir)
	cmd.Stderr = t.Output()
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "filled\n" {
		t.Errorf("the child says %q, %v", line, err)
	}
	if closed {
		in.Close()
	} else if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); (err == nil) != closed {
		t.Fatalf("the child ended with %v", err)
	}
	return dir
}

// fill is the child of mustFill: it closes the store when its input ends.
func fill() int {
	s, err := localshadow.OpenStore(localshadow.Config{Path: os.Getenv("DIR")}, nil)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	value := bytes.Repeat([]byte("0123456789abcdef"), 128) // 2 KiB
	failed := func(err error) {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	for i := range filled {
		s.Submit(context.Background(), func(tx *localshadow.Tx) error {
			return tx.Set(fmt.Appendf(nil, "s/%05d", i), value)
		}, failed)
	}
	failed(s.Update(context.Background(), put("s/last", "here")))
	fmt.Println("filled")
	_, err = io.Copy(io.Discard, os.Stdin)
	failed(err)
	failed(s.Close())
	return 0
}

func mustGlob(t *testing.T, pattern ...string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(pattern...))
	if err != nil || len(files) == 0 {
		t.Fatalf("no %s: %v", filepath.Join(pattern...), err)
	}
	return files
}

func mustEdit(t *testing.T, file string, edit func([]byte) []byte) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, edit(data), 0o600); err != nil {
		t.Fatal(err)
	}
}

// flip changes one byte in the middle.
func flip(data []byte) []byte { data[len(data)/2] ^= 0x55; return data }

// tear adds the beginning of an entry.
func tear(data []byte) []byte { return append(data, 0, 0, 0, 9, 1, 2, 3) }

// L13: damage is set aside with one line in the log, nothing of it is deleted, and
// the store works.
func TestOpenStore_Damage(t *testing.T) {
	damages := []struct {
		name   string
		reason string
		do     func(t *testing.T, store string)
	}{
		{"ManifestMissing", "MANIFEST is missing", func(t *testing.T, store string) {
			if err := os.Remove(filepath.Join(store, "MANIFEST")); err != nil {
				t.Fatal(err)
			}
		}},
		{"ManifestEmpty", "MANIFEST", func(t *testing.T, store string) {
			mustEdit(t, filepath.Join(store, "MANIFEST"), func([]byte) []byte { return nil })
		}},
		{"ManifestFlipped", "MANIFEST", func(t *testing.T, store string) {
			mustEdit(t, filepath.Join(store, "MANIFEST"), flip)
		}},
		{"ManifestCut", "MANIFEST is cut short", func(t *testing.T, store string) { // the part that is left lacks the newest table
			mustEdit(t, filepath.Join(store, "MANIFEST"), func(data []byte) []byte { return data[:len(data)-3] })
		}},
		{"ManifestCutBeforeATable", "MANIFEST is cut short", func(t *testing.T, store string) {
			mustEdit(t, filepath.Join(store, "MANIFEST"), tear)
			mustEdit(t, mustGlob(t, store, "*.sst")[0], func(data []byte) []byte {
				if err := os.WriteFile(filepath.Join(store, "000999.sst"), data, 0o600); err != nil {
					t.Fatal(err)
				}
				return data
			})
		}},
		{"TableMissing", "is missing", func(t *testing.T, store string) {
			if err := os.Remove(mustGlob(t, store, "*.sst")[0]); err != nil {
				t.Fatal(err)
			}
		}},
		{"TableCut", "unreadable", func(t *testing.T, store string) {
			mustEdit(t, mustGlob(t, store, "*.sst")[0], func(data []byte) []byte { return data[:len(data)/2] })
		}},
		{"TableCutToAFewBytes", "unreadable", func(t *testing.T, store string) {
			mustEdit(t, mustGlob(t, store, "*.sst")[0], func(data []byte) []byte { return data[:3] })
		}},
		{"TableEmpty", "empty", func(t *testing.T, store string) {
			mustEdit(t, mustGlob(t, store, "*.sst")[0], func([]byte) []byte { return nil })
		}},
		{"TableFlipped", "checksum", func(t *testing.T, store string) {
			mustEdit(t, mustGlob(t, store, "*.sst")[0], flip)
		}},
		{"TableEndFlipped", "table", func(t *testing.T, store string) {
			mustEdit(t, mustGlob(t, store, "*.sst")[0], func(data []byte) []byte { data[len(data)-2] ^= 0xff; return data })
		}},
		{"OpeningCrashed", "the last open crashed: panic: boom", func(t *testing.T, store string) {
			mustEdit(t, filepath.Join(store, "MANIFEST"), func(data []byte) []byte {
				trace := "opening, try 1\npanic: boom\n\ngoroutine 1 [running]:\n"
				if err := os.WriteFile(filepath.Join(filepath.Dir(store), "opening"), []byte(trace), 0o600); err != nil {
					t.Fatal(err)
				}
				return data
			})
		}},
		{"OpeningNeverEnded", "5 opens in a row", func(t *testing.T, store string) {
			if err := os.WriteFile(filepath.Join(filepath.Dir(store), "opening"), []byte("opening, try 5\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		}},
	}
	whole := mustFill(t, true)
	for _, d := range damages {
		t.Run(d.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.CopyFS(dir, os.DirFS(whole)); err != nil {
				t.Fatal(err)
			}
			store := filepath.Join(dir, "store")
			d.do(t, store)
			before := len(mustGlob(t, store, "*"))
			var log bytes.Buffer
			s, err := localshadow.OpenStore(localshadow.Config{Path: dir}, slog.New(slog.NewTextHandler(&log, nil)))
			if err != nil {
				t.Fatalf("the store does not open: %v", err)
			}
			bad := store + ".bad-1"
			st := s.Stats()
			if st.Quarantined != bad || !strings.Contains(st.Reason, d.reason) || len(st.SetAside) != 1 {
				t.Errorf("quarantined %q for %q (%v), want %q", st.Quarantined, st.Reason, st.SetAside, d.reason)
			}
			if lines := strings.Count(log.String(), "\n"); lines != 1 || !strings.Contains(log.String(), bad) {
				t.Errorf("the log has %d lines:\n%s", lines, log.String())
			}
			if after := len(mustGlob(t, bad, "*")); after < before {
				t.Errorf("%d files of %d are left", after, before)
			}
			if got := get(t, s, "s/last"); got != "" {
				t.Errorf("the new store has %q", got)
			}
			if err := s.Update(t.Context(), put("s/new", "1")); err != nil {
				t.Error(err)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			s = shadowtest.MustOpenStoreAt(t, dir)
			if st := s.Stats(); st.Quarantined != "" || len(st.SetAside) != 1 || get(t, s, "s/new") != "1" {
				t.Errorf("the next start: %+v", st)
			}
		})
	}
}

// What a kill or a power cut leaves behind is no damage.
func TestOpenStore_NoDamage(t *testing.T) {
	cuts := []struct {
		name string
		do   func(t *testing.T, store string)
	}{
		{"Killed", func(*testing.T, string) {}},
		{"KilledWhileOpening", func(t *testing.T, store string) {
			if err := os.WriteFile(filepath.Join(filepath.Dir(store), "opening"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}},
		{"KilledWhileOpeningTwice", func(t *testing.T, store string) {
			if err := os.WriteFile(filepath.Join(filepath.Dir(store), "opening"), []byte("opening, try 2\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		}},
		{"TornManifest", func(t *testing.T, store string) {
			mustEdit(t, filepath.Join(store, "MANIFEST"), tear)
		}},
		{"EmptyLog", func(t *testing.T, store string) {
			if err := os.WriteFile(filepath.Join(store, "00999.mem"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}},
		{"TableOfAnUnfinishedCompaction", func(t *testing.T, store string) {
			tables := mustGlob(t, store, "*.sst")
			data, err := os.ReadFile(tables[0])
			if err == nil {
				err = os.WriteFile(filepath.Join(store, "000999.sst"), data[:len(data)/2], 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
		}},
	}
	whole := mustFill(t, false)
	for _, c := range cuts {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.CopyFS(dir, os.DirFS(whole)); err != nil {
				t.Fatal(err)
			}
			c.do(t, filepath.Join(dir, "store"))
			s := shadowtest.MustOpenStoreAt(t, dir)
			if st := s.Stats(); st.Quarantined != "" || !s.Unclean() {
				t.Errorf("unclean %v, set aside as %q: %s", s.Unclean(), st.Quarantined, st.Reason)
			}
			n := 0
			err := s.View(func(r localshadow.Reader) error {
				return r.Scan([]byte("s/"), func(_, _ []byte) error { n++; return nil })
			})
			if n != filled+1 || err != nil {
				t.Errorf("%d of %d records, %v", n, filled+1, err)
			}
			if _, err := os.Stat(filepath.Join(dir, "opening")); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("the marker stays: %v", err)
			}
		})
	}
}

// Damaged stores get numbers of their own.
func TestOpenStore_SecondDamage(t *testing.T) {
	dir := t.TempDir()
	for n := range 3 {
		s := shadowtest.MustOpenStoreAt(t, dir)
		if err := s.Update(t.Context(), put("s/a", "1")); err != nil {
			t.Fatal(err)
		}
		if got := len(s.Stats().SetAside); got != n {
			t.Errorf("start %d: %d set aside", n, got)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(filepath.Join(dir, "store", "MANIFEST")); err != nil {
			t.Fatal(err)
		}
	}
}

// An open that crashes by itself is not repeated for ever: the second start
// works. The crash comes from badger's own goroutine, through the logger.
func TestOpenStore_CrashWhileOpening(t *testing.T) {
	dir := mustFill(t, true)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"=crash", "DIR="+dir)
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 2 {
		t.Fatalf("the child did not crash: %v\n%s", err, out)
	}
	var log bytes.Buffer
	s, err := localshadow.OpenStore(localshadow.Config{Path: dir}, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	st := s.Stats()
	if !strings.Contains(st.Reason, "panic: a damaged table") {
		t.Errorf("set aside as %q for %q", st.Quarantined, st.Reason)
	}
	trace, err := os.ReadFile(filepath.Join(st.Quarantined, "crash.txt"))
	if err != nil || !bytes.Contains(trace, []byte("badger")) {
		t.Errorf("trace: %v\n%s", err, trace)
	}
}

func crash() int {
	_, err := localshadow.OpenStore(localshadow.Config{Path: os.Getenv("DIR")}, slog.New(panicking{slog.DiscardHandler}))
	fmt.Println("opened:", err)
	return 1
}

type panicking struct{ slog.Handler }

func (panicking) Enabled(context.Context, slog.Level) bool { return true }
func (panicking) Handle(_ context.Context, r slog.Record) error {
	if strings.Contains(r.Message, "tables opened") {
		panic("a damaged table")
	}
	return nil
}
