package localshadow_test

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"testing"

	"edgeshadow/localshadow"
	"edgeshadow/test/shadowtest"
)

// count adds one to a key and notes what it then is, and whether that is told.
func count(key string, at *int) func(*localshadow.Tx) error {
	return func(tx *localshadow.Tx) error {
		old, err := tx.Get([]byte(key))
		if err != nil && !errors.Is(err, localshadow.ErrNotFound) {
			return err
		}
		n, _ := strconv.Atoi(string(old))
		*at = n + 1
		return tx.Set([]byte(key), []byte(strconv.Itoa(n+1)))
	}
}

// Operations of callers that lead and of those that queue see each other's
// writes, and are told in the order in which they were executed.
func TestStore_DoAmongOthers(t *testing.T) {
	const callers, each = 8, 40
	s := shadowtest.MustOpenStore(t)
	var (
		wg   sync.WaitGroup
		told []int // the done functions run one at a time
	)
	for i := range callers {
		wg.Go(func() {
			for j := range each {
				var at int
				ready := make(chan struct{})
				done := func(err error) {
					if err != nil {
						t.Error(err)
					}
					told = append(told, at)
					close(ready)
				}
				if (i+j)%3 == 0 {
					s.Submit(t.Context(), count("s/n", &at), done)
				} else {
					s.Do(t.Context(), count("s/n", &at), done)
				}
				if j%4 > 0 { // sometimes nobody is under way
					<-ready
				}
			}
		})
	}
	wg.Wait()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	want := make([]int, callers*each)
	for i := range want {
		want[i] = i + 1
	}
	if !slices.Equal(told, want) {
		t.Errorf("told in the order %v", told)
	}
}

// One caller alone is told before Do returns, and what it refuses leaves the
// store as it was.
func TestStore_DoAlone(t *testing.T) {
	s := shadowtest.MustOpenStore(t)
	for i := range 20 {
		var at int
		told := false
		s.Do(t.Context(), count("s/n", &at), func(err error) { told = err == nil })
		if !told || at != i+1 || get(t, s, "s/n") != strconv.Itoa(i+1) {
			t.Fatalf("operation %d: told %v, at %d, stored %q", i, told, at, get(t, s, "s/n"))
		}
	}
	no := errors.New("no")
	var err error
	s.Do(t.Context(), func(tx *localshadow.Tx) error { return errors.Join(tx.Set([]byte("s/n"), nil), no) }, func(e error) { err = e })
	if !errors.Is(err, no) {
		t.Errorf("an operation that refuses: %v", err)
	}
	if got := get(t, s, "s/n"); got != "20" {
		t.Errorf("stored %q, want 20", got)
	}
}

// Close waits for whoever leads.
func TestStore_DoWhileClosing(t *testing.T) {
	s := shadowtest.MustOpenStore(t)
	begun, closing, closed := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		<-begun
		close(closing)
		closed <- s.Close()
	}()
	var outcome error
	s.Do(t.Context(), func(tx *localshadow.Tx) error {
		close(begun)
		<-closing
		return tx.Set([]byte("s/a"), []byte("1"))
	}, func(err error) { outcome = err })
	if err := <-closed; err != nil || outcome != nil {
		t.Fatalf("close: %v, operation: %v", err, outcome)
	}
	err := fmt.Errorf("not told")
	s.Do(t.Context(), put("s/b", "1"), func(e error) { err = e })
	if !errors.Is(err, localshadow.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}
