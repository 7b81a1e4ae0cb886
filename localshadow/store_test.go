package localshadow_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"edgeshadow/localshadow"
	"edgeshadow/test/shadowtest"
)

func put(key, value string) func(*localshadow.Tx) error {
	return func(tx *localshadow.Tx) error { return tx.Set([]byte(key), []byte(value)) }
}

func get(t *testing.T, s *localshadow.Store, key string) string {
	t.Helper()
	var value []byte
	err := s.View(func(r localshadow.Reader) (err error) {
		value, err = r.Get([]byte(key))
		return err
	})
	if errors.Is(err, localshadow.ErrNotFound) {
		return ""
	}
	if err != nil {
		t.Fatal(err)
	}
	return string(value)
}

func TestStore_ReopenKeepsAll(t *testing.T) {
	dir := t.TempDir()
	s := shadowtest.MustOpenStoreAt(t, dir)
	if err := s.Update(t.Context(), put("s/a", "1")); err != nil {
		t.Fatal(err)
	}
	if s.Boot() != 1 || s.Unclean() || len(s.Gateway()) != 8 {
		t.Errorf("first start: boot %d, unclean %v, gateway %q", s.Boot(), s.Unclean(), s.Gateway())
	}
	gateway := s.Gateway()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatalf("second close: %v", err)
	}
	s = shadowtest.MustOpenStoreAt(t, dir)
	if s.Boot() != 2 || s.Unclean() || s.Gateway() != gateway {
		t.Errorf("second start: boot %d, unclean %v, gateway %q, want 2, false, %q", s.Boot(), s.Unclean(), s.Gateway(), gateway)
	}
	if got := get(t, s, "s/a"); got != "1" {
		t.Errorf("s/a = %q", got)
	}
}

func TestStore_Closed(t *testing.T) {
	s := shadowtest.MustOpenStore(t)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Update(t.Context(), put("s/a", "1")); !errors.Is(err, localshadow.ErrClosed) {
		t.Errorf("update: %v", err)
	}
	if err := s.View(func(localshadow.Reader) error { return nil }); !errors.Is(err, localshadow.ErrClosed) {
		t.Errorf("view: %v", err)
	}
	if st := s.Stats(); st.Size != 0 || st.Boot != 1 {
		t.Errorf("stats of a closed store: %+v", st)
	}
}

func TestStore_SecondProcessIsRefused(t *testing.T) {
	dir := t.TempDir()
	shadowtest.MustOpenStoreAt(t, dir)
	if _, err := localshadow.OpenStore(localshadow.Config{Path: dir}, nil); !errors.Is(err, localshadow.ErrInUse) {
		t.Errorf("second open: %v, want ErrInUse", err)
	}
}

func TestStore_FailingOperationDropsOnlyItsOwnWrites(t *testing.T) {
	s := shadowtest.MustOpenStore(t)
	refused := errors.New("refused")
	var wg sync.WaitGroup
	hold := make(chan struct{})
	// Everything behind the first one gathers in the queue, hence in one group.
	wg.Add(4)
	errs := make([]error, 4)
	done := func(i int) func(error) {
		return func(err error) { errs[i] = err; wg.Done() }
	}
	ctx := t.Context()
	s.Submit(ctx, func(*localshadow.Tx) error { <-hold; return nil }, done(0))
	s.Submit(ctx, put("s/a", "before"), done(1))
	s.Submit(ctx, func(tx *localshadow.Tx) error {
		if err := errors.Join(tx.Set([]byte("s/a"), []byte("lost")), tx.Set([]byte("s/b"), []byte("lost"))); err != nil {
			return err
		}
		if got, err := tx.Get([]byte("s/a")); string(got) != "lost" || err != nil {
			t.Errorf("own write reads as %q, %v", got, err)
		}
		return refused
	}, done(2))
	s.Submit(ctx, func(tx *localshadow.Tx) error {
		if got, err := tx.Get([]byte("s/a")); string(got) != "before" || err != nil {
			t.Errorf("after a failed operation: %q, %v", got, err)
		}
		if _, err := tx.Get([]byte("s/b")); !errors.Is(err, localshadow.ErrNotFound) {
			t.Errorf("write of a failed operation: %v", err)
		}
		return tx.Set([]byte("s/c"), []byte("after"))
	}, done(3))
	close(hold)
	wg.Wait()
	if want := []error{nil, nil, refused, nil}; !slices.Equal(errs, want) {
		t.Errorf("outcomes %v, want %v", errs, want)
	}
	if a, b, c := get(t, s, "s/a"), get(t, s, "s/b"), get(t, s, "s/c"); a != "before" || b != "" || c != "after" {
		t.Errorf("stored a=%q b=%q c=%q", a, b, c)
	}
	if st := s.Stats(); st.Commits != 1 && st.Commits != 2 {
		t.Errorf("%d commits for one queue", st.Commits)
	}
}

func TestStore_PanicIsToldAndIsolated(t *testing.T) {
	s, err := localshadow.OpenStore(localshadow.Config{Path: t.TempDir()}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	err = s.Update(t.Context(), func(tx *localshadow.Tx) error {
		if err := tx.Set([]byte("s/a"), []byte("half")); err != nil {
			return err
		}
		panic("bug")
	})
	var panicked *localshadow.PanicError
	if !errors.As(err, &panicked) || panicked.Value != "bug" || !bytes.Contains(panicked.Stack, []byte("store_test.go")) {
		t.Errorf("panic comes back as %v", err)
	}
	if err := s.Update(t.Context(), put("s/b", "1")); err != nil {
		t.Errorf("next operation: %v", err)
	}
	if got := get(t, s, "s/a"); got != "" {
		t.Errorf("write of a panicked operation: %q", got)
	}
	if n := s.Stats().Panics; n != 1 {
		t.Errorf("%d panics counted", n)
	}
}

// The callbacks run in order of submission, each after what it stands for can
// be read, and reads in the queue see the writes before them.
func TestStore_OrderOfCallbacks(t *testing.T) {
	s := shadowtest.MustOpenStore(t)
	const n = 3000 // several groups
	var order []int
	var wg sync.WaitGroup
	wg.Add(2 * n)
	for i := range n {
		want := fmt.Sprint(i)
		s.Submit(t.Context(), put("s/k", want), func(err error) {
			defer wg.Done()
			if err != nil {
				t.Error(err)
			}
			order = append(order, i)
		})
		var got []byte
		s.Submit(t.Context(), func(tx *localshadow.Tx) (err error) {
			got, err = tx.Get([]byte("s/k"))
			return err
		}, func(err error) {
			defer wg.Done()
			if err != nil || string(got) != want {
				t.Errorf("read after write %d: %q, %v", i, got, err)
			}
		})
	}
	wg.Wait()
	if len(order) != n || !slices.IsSorted(order) {
		t.Errorf("%d callbacks, sorted %v", len(order), slices.IsSorted(order))
	}
	st := s.Stats()
	if st.Commits >= n || st.LargestCommit > 256 {
		t.Errorf("%d operations in %d commits, largest %d", st.Operations, st.Commits, st.LargestCommit)
	}
}

func TestStore_QueueIsBounded(t *testing.T) {
	s := shadowtest.MustOpenStore(t)
	hold := make(chan struct{})
	s.Submit(t.Context(), func(*localshadow.Tx) error { <-hold; return nil }, func(error) {})
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for s.Stats().Queue < s.Stats().MaxQueue {
		wg.Add(1)
		s.Submit(ctx, put("s/a", "1"), func(err error) {
			defer wg.Done()
			if err != nil {
				t.Error(err)
			}
		})
	}
	cancel()
	if err := s.Update(ctx, put("s/a", "beyond")); !errors.Is(err, context.Canceled) {
		t.Errorf("update beyond the queue: %v", err)
	}
	close(hold)
	wg.Wait()
	if got := get(t, s, "s/a"); got != "1" {
		t.Errorf("an operation that was given up ran: %q", got)
	}
}

func TestStore_LargeValues(t *testing.T) {
	dir := t.TempDir()
	s := shadowtest.MustOpenStoreAt(t, dir)
	random := rand.New(rand.NewPCG(1, 2))
	sizes := []int{0, 1, 30 << 10, 30<<10 + 1, 32 << 10, 33 << 10, 60 << 10, 60<<10 + 1, 200 << 10, localshadow.MaxValue, 100, 90 << 10}
	value := func(size int) []byte {
		b := make([]byte, size)
		for i := range b {
			b[i] = byte(random.Uint32())
		}
		return b
	}
	for _, size := range sizes {
		want := value(size)
		err := s.Update(t.Context(), func(tx *localshadow.Tx) error {
			if err := tx.Set([]byte("s/big"), want); err != nil {
				return err
			}
			got, err := tx.Get([]byte("s/big"))
			if !bytes.Equal(got, want) {
				t.Errorf("own write of %d bytes reads as %d", size, len(got))
			}
			return err
		})
		if err != nil {
			t.Fatalf("set %d bytes: %v", size, err)
		}
		if got := get(t, s, "s/big"); got != string(want) {
			t.Errorf("%d bytes read as %d", size, len(got))
		}
		if size == sizes[len(sizes)-1] {
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			s = shadowtest.MustOpenStoreAt(t, dir)
			if got := get(t, s, "s/big"); got != string(want) {
				t.Errorf("%d bytes read as %d in the next run", size, len(got))
			}
		}
	}
	var tooLarge *localshadow.TooLargeError
	err := s.Update(t.Context(), func(tx *localshadow.Tx) error {
		return tx.Set([]byte("s/big"), make([]byte, localshadow.MaxValue+1))
	})
	if !errors.As(err, &tooLarge) {
		t.Errorf("beyond the largest value: %v", err)
	}
	err = s.Update(t.Context(), func(tx *localshadow.Tx) error {
		return errors.Join(tx.Set([]byte("s/1"), make([]byte, localshadow.MaxValue)), tx.Set([]byte("s/2"), make([]byte, localshadow.MaxValue)))
	})
	if !errors.As(err, &tooLarge) {
		t.Errorf("an operation beyond one commit: %v", err)
	}
	if err := s.Update(t.Context(), func(tx *localshadow.Tx) error { tx.Delete([]byte("s/big")); return nil }); err != nil {
		t.Fatal(err)
	}
	err = s.View(func(r localshadow.Reader) error {
		return r.Scan([]byte("~"), func(key, _ []byte) error { return fmt.Errorf("chunk %q is left over", key) })
	})
	if err != nil {
		t.Error(err)
	}
}

// A scan inside an operation sees committed and pending writes as one.
func TestTx_ScanSeesPendingWrites(t *testing.T) {
	s := shadowtest.MustOpenStore(t)
	random := rand.New(rand.NewPCG(3, 4))
	model := make(map[string]string)
	var wg sync.WaitGroup
	for range 400 {
		key, remove := fmt.Sprintf("s/%02d", random.IntN(40)), random.IntN(3) == 0
		value := fmt.Sprint(random.Uint32())
		wg.Add(1)
		s.Submit(t.Context(), func(tx *localshadow.Tx) error {
			if remove {
				tx.Delete([]byte(key))
				delete(model, key)
			} else {
				if err := tx.Set([]byte(key), []byte(value)); err != nil {
					return err
				}
				model[key] = value
			}
			got := make(map[string]string)
			var keys []string
			err := tx.Scan([]byte("s/"), func(key, value []byte) error {
				got[string(key)] = string(value)
				keys = append(keys, string(key))
				return nil
			})
			if diff := cmp.Diff(model, got); diff != "" {
				t.Errorf("scan: (-want +got)\n%s", diff)
			}
			if !slices.IsSorted(keys) || len(keys) != len(got) {
				t.Errorf("scan out of order: %s", strings.Join(keys, " "))
			}
			return err
		}, func(err error) {
			defer wg.Done()
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

func TestStore_OneSecond(t *testing.T) {
	dir := t.TempDir()
	cfg := localshadow.Config{Path: dir, Durability: localshadow.OneSecond}
	for boot := range uint64(3) {
		s, err := localshadow.OpenStore(cfg, nil)
		if err != nil {
			t.Fatal(err)
		}
		if boot > 0 && get(t, s, "s/a") != fmt.Sprint(boot-1) {
			t.Errorf("boot %d: %q", boot, get(t, s, "s/a"))
		}
		if err := s.Update(t.Context(), put("s/a", fmt.Sprint(boot))); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestConfig_Validate(t *testing.T) {
	if err := (localshadow.Config{Durability: "2s"}).Validate(); err == nil {
		t.Error("durability 2s is accepted")
	}
	if err := localshadow.Default().Validate(); err != nil {
		t.Errorf("the default: %v", err)
	}
	if _, err := localshadow.OpenStore(localshadow.Config{Path: t.TempDir(), Durability: "no"}, nil); err == nil {
		t.Error("a store opens with durability no")
	}
}
