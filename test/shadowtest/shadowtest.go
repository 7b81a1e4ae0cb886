// Package shadowtest gives tests a real store and a real shadow service, and a
// publisher that remembers what the local broker would have sent.
package shadowtest

import (
	"fmt"
	"log/slog"
	"testing"

	"edgeshadow/localshadow"
	"edgeshadow/localshadow/shadow"
)

// MustOpenStore opens a store in a folder of its own. The cleanup closes it and
// checks that every record in it can be read and that nothing panicked.
func MustOpenStore(tb testing.TB) *localshadow.Store {
	tb.Helper()
	return MustOpenStoreAt(tb, tb.TempDir())
}

// MustOpenStoreAt is MustOpenStore in a folder that another store was in, or
// will be: one that a test closed itself is left alone by the cleanup.
func MustOpenStoreAt(tb testing.TB, path string) *localshadow.Store {
	tb.Helper()
	return MustOpenStoreWith(tb, localshadow.Config{Path: path})
}

// MustOpenStoreWith is MustOpenStoreAt with a configuration.
func MustOpenStoreWith(tb testing.TB, cfg localshadow.Config) *localshadow.Store {
	tb.Helper()
	s, err := localshadow.OpenStore(cfg, Log(tb))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		check(tb, s)
		if err := s.Close(); err != nil {
			tb.Errorf("close store: %v", err)
		}
	})
	return s
}

// MustOpenService opens a service over a store of its own; a nil publisher
// hears nothing.
func MustOpenService(tb testing.TB, publisher localshadow.Publisher) *localshadow.Service {
	tb.Helper()
	return NewService(tb, MustOpenStore(tb), publisher)
}

// NewService makes a service over a store.
func NewService(tb testing.TB, store *localshadow.Store, publisher localshadow.Publisher) *localshadow.Service {
	s := localshadow.NewService(store, Log(tb))
	s.Publisher = publisher
	return s
}

func check(tb testing.TB, store *localshadow.Store) {
	tb.Helper()
	st := store.Stats()
	if st.Panics > 0 {
		tb.Errorf("store: %d operations panicked", st.Panics)
	}
	if st.Error != "" {
		tb.Errorf("store: %s", st.Error)
	}
	if st.Size == 0 {
		return // closed by the test
	}
	s := localshadow.NewService(store, nil)
	if err := s.All(func(id shadow.ID) error {
		doc, err := s.Document(id)
		if err != nil {
			return err
		}
		if doc == nil || doc.Version < 1 {
			return fmt.Errorf("%s is listed, but its document is %+v", id, doc)
		}
		return id.Check()
	}); err != nil {
		tb.Errorf("check store: %v", err)
	}
	if err := s.Records(func(shadow.ID, []byte, int64, bool) error { return nil }); err != nil {
		tb.Errorf("check store: %v", err)
	}
}

// Log is a logger into the test's own output, from Warn on.
func Log(tb testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(tb.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
}
