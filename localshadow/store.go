package localshadow

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dgraph-io/badger/v4"
)

// Keys are prefixes. Each owner keeps to its own:
//
//	s/<thing>/<shadow>/…  shadows and their sync records (record.go)
//	b/…                   sessions and retained messages of the broker
//	r/…                   the registry
//	a/…                   access: issued certificates, keys, tokens, policies
//	f/…                   since when values of wired things are desired
//	g/…                   what the gateway counted
//	y/…                   the bridge: its clock and its budget
//	m/…                   the store's own: boot counter, gateway id, age, journal
//	~…                    chunks of large values (value.go)
const (
	bootKey    = "m/boot"
	cleanKey   = "m/clean"
	gatewayKey = "m/gateway"
)

// Store is one database and its committer. The zero value is of no use: OpenStore.
type Store struct {
	// Committed is told how long each commit took, fsync included; nil: nobody
	// is. Set it before the first operation.
	Committed func(took time.Duration)

	path       string // of the configuration
	dir        string // of the database
	durability Durability
	log        *slog.Logger
	db         *badger.DB
	wal        *wal // of the committer
	lock       *os.File

	boot        uint64
	gateway     string
	unclean     bool
	quarantined string
	reason      string
	age         time.Duration // when it was opened
	opened      time.Time

	// chunks counts the chunks of each chunked key; only execute touches it.
	chunks map[string]int

	slots     chan struct{} // one per operation in queue
	nudge     chan struct{}
	sealed    chan *group
	committed chan *group
	closing   chan struct{}
	loops     sync.WaitGroup
	merging   sync.WaitGroup

	mu       sync.Mutex
	queue    []*operation
	underWay int  // operations in the queue and beyond, until they are told
	led      bool // by a caller of Do
	closed   bool // no operations any more
	shut     bool // no reads any more
	readers  sync.WaitGroup

	failed   atomic.Pointer[error]
	failing  chan struct{}
	full     atomic.Bool
	unmerged atomic.Pointer[error] // why tables are not merged; nil: they are
	panics   atomic.Uint64
	counts   counts
	closeErr error
	once     sync.Once
}

// View runs fn over what is committed now. It does not wait for operations in
// the queue, and they do not wait for it.
func (s *Store) View(fn func(r Reader) error) error {
	return s.view(func(r snapshot) error { return fn(r) })
}

func (s *Store) view(fn func(r snapshot) error) error {
	if !s.read() {
		return ErrClosed
	}
	defer s.readers.Done()
	return s.db.View(func(txn *badger.Txn) error { return fn(snapshot{txn}) })
}

// read admits a reader until Close waits for the last of them.
func (s *Store) read() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.shut {
		return false
	}
	s.readers.Add(1)
	return true
}

// Boot counts the times that this store was opened, from 1.
func (s *Store) Boot() uint64 { return s.boot }

// Gateway is the id of this store: eight hex digits, drawn when it was made. A
// fresh store in the place of a damaged one has another.
func (s *Store) Gateway() string { return s.gateway }

// Unclean says that the last run ended without Close.
func (s *Store) Unclean() bool { return s.unclean }

// Failed is closed when the store can't write any more until it is opened
// anew; Err says why.
func (s *Store) Failed() <-chan struct{} { return s.failing }

// Err is the failure that ended writing; nil while all is well.
func (s *Store) Err() error { return s.failure() }

func (s *Store) failure() error {
	if err := s.failed.Load(); err != nil {
		return *err
	}
	return nil
}

func (s *Store) fail(err error) {
	err = withCure(s.path, err)
	if s.failed.CompareAndSwap(nil, &err) {
		s.log.Error("store can't write any more; restart to open it anew", "err", err)
		close(s.failing)
	}
}

func (s *Store) tellSpace(err error) {
	if full := err != nil; s.full.Swap(full) != full {
		if full {
			s.log.Warn("store refuses writes", "err", err, "hint", fullHint(s.path))
		} else {
			s.log.Info("store writes again: there is disk space")
		}
	}
}

// Close waits for what is in the queue, callbacks included, and closes the
// database. The next open then knows that nothing was cut off.
func (s *Store) Close() error {
	s.once.Do(func() { s.closeErr = s.close() })
	return s.closeErr
}

func (s *Store) close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	close(s.closing)
	s.wake()
	s.loops.Wait()
	close(s.wal.begun) // the committer has ended
	s.merging.Wait()
	s.mu.Lock()
	s.shut = true
	s.mu.Unlock()
	s.readers.Wait()
	// Badger would write the memtable out: a page that the disk can't back kills the
	// process, and what it can't create it tries again for ever. All that it holds is
	// in the log, as after a kill -9.
	if s.failure() != nil {
		return errors.Join(s.wal.close(), s.lock.Close())
	}
	if err := s.room(0); errors.Is(err, ErrDiskFull) {
		s.log.Warn("store is left open for lack of disk space; the next start reads its log", "err", err, "hint", fullHint(s.path))
		return errors.Join(s.wal.sync(), s.wal.close(), s.lock.Close())
	}
	var errs []error
	err := s.db.Update(func(txn *badger.Txn) error {
		if err := txn.Set([]byte(ageKey), seal(formatInline, []byte(ageKey), encodeAge(s.Age()))); err != nil {
			return err
		}
		return txn.Set([]byte(cleanKey), seal(formatInline, []byte(cleanKey), nil))
	})
	if err != nil {
		errs = append(errs, fmt.Errorf("mark store as closed: %w", err))
	}
	if err := s.db.Close(); err != nil {
		errs = append(errs, fmt.Errorf("close store: %w", err))
	}
	errs = append(errs, s.wal.close(), s.lock.Close())
	return errors.Join(errs...)
}
