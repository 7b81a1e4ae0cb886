package localshadow

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"
)

// ErrInUse says that another process has the store open.
var ErrInUse = errors.New("in use by another edgeshadow")

const (
	memTableSize = 4 << 20
	tableSize    = 4 << 20
	blockSize    = 64 << 10

	// A process that was killed a moment ago may still be giving up its lock,
	// and badger itself sometimes opens only at the second try after a kill.
	openTries = 3
	openPause = 200 * time.Millisecond

	// maxUnfinished opens in a row, without a crash of their own, may be kills
	// at a bad moment; more of them are not.
	maxUnfinished = 5
)

// opening serialises OpenStore: the crash output is one per process.
var opening sync.Mutex

// OpenStore opens the store in <cfg.Path>/store, or makes it. It gets by with
// whatever a kill -9 or a power cut leaves behind. A damaged store is renamed
// to store.bad-<n>, with one line in the log, and a fresh one is made. It
// returns an ErrDiskFull below the disk space floor, an ErrInUse when another
// process has the store, and a *NewerFormatError when a newer program wrote it.
// A nil log discards.
func OpenStore(cfg Config, log *slog.Logger) (*Store, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	s := &Store{
		path: cfg.Path, dir: filepath.Join(cfg.Path, "store"), durability: cfg.Durability, log: log,
		slots: make(chan struct{}, maxQueue), nudge: make(chan struct{}, 1),
		sealed: make(chan *group), committed: make(chan *group, maxUnpublished),
		closing: make(chan struct{}), failing: make(chan struct{}),
	}
	if err := os.MkdirAll(cfg.Path, 0o750); err != nil {
		return nil, fmt.Errorf("open store: %w", withCure(cfg.Path, err))
	}
	opening.Lock()
	defer opening.Unlock()
	if err := s.open(); err != nil {
		if s.db != nil {
			err = errors.Join(err, s.db.Close())
		}
		if s.lock != nil {
			err = errors.Join(err, s.lock.Close())
		}
		return nil, fmt.Errorf("open store %s: %w", s.dir, withCure(s.path, err))
	}
	s.start(&s.loops)
	if loose, _ := s.tables(); loose.n >= maxLoose { // many short runs
		s.wal.tell()
	}
	s.merging.Go(s.merge)
	return s, nil
}

func (s *Store) open() (err error) {
	// The lock comes first: all that follows takes the store for its own.
	if s.lock, err = lockStore(s.path); err != nil {
		return err
	}
	// Before any byte is written, and before anything is taken for damage.
	if err := checkSpace(s.path); err != nil {
		return err
	}
	if err := s.adopt(); err != nil {
		return err
	}
	mark := marker{path: filepath.Join(s.path, "opening")}
	if reason := mark.read(); reason != "" {
		if err := s.quarantine(reason, mark.path); err != nil {
			return err
		}
		mark.unfinished = 0
	}
	if err := prepare(s.dir, s.log); err != nil {
		var damage *damageError
		if !errors.As(err, &damage) {
			return err
		}
		if err := s.quarantine(damage.Error(), ""); err != nil {
			return err
		}
	}
	if s.db, err = s.openDatabase(mark); err != nil {
		if environmental(err) {
			return err
		}
		if err := s.quarantine(err.Error(), ""); err != nil {
			return err
		}
		if s.db, err = s.openDatabase(mark); err != nil {
			return err
		}
	}
	if s.wal, err = openWAL(s.dir); err != nil {
		return errors.Join(fmt.Errorf("open the store's log: %w", err), s.db.Close())
	}
	if err := errors.Join(s.begin(), s.wal.follow(), s.wal.sync()); err != nil {
		return errors.Join(err, s.wal.close())
	}
	return nil
}

// openDatabase opens badger under the marker's watch.
func (s *Store) openDatabase(mark marker) (*badger.DB, error) {
	unwatch, err := mark.watch()
	if err != nil {
		return nil, fmt.Errorf("watch over the open: %w", err)
	}
	var db *badger.DB
	for try := range openTries {
		if try > 0 {
			s.log.Debug("open store again", "try", try+1, "err", err)
			time.Sleep(openPause)
		}
		if db, err = badger.Open(s.options()); err == nil {
			break
		}
	}
	return db, errors.Join(err, unwatch())
}

// options keep badger small: a few MiB of memory, no value log to collect, no
// compression (documents of 1 KB gain little, scans lose much). Checksums are
// verified per block read; whole tables are verified by prepare, which does not
// leave them mapped into memory as badger would. Values stay below maxInline.
func (s *Store) options() badger.Options {
	return badger.DefaultOptions(s.dir).
		WithSyncWrites(false). // see wal
		WithMemTableSize(memTableSize).WithNumMemtables(2).
		WithBaseTableSize(tableSize).WithBaseLevelSize(oneLevel).WithBlockSize(blockSize).
		WithNumCompactors(0).WithNumLevelZeroTables(1).WithNumLevelZeroTablesStall(neverStall). // see merge
		WithNumGoroutines(1).
		WithCompression(options.None).WithBlockCacheSize(0).WithIndexCacheSize(0).
		WithValueLogFileSize(1 << 20).WithValueThreshold(32 << 10).
		WithDetectConflicts(false). // the committer is the only writer
		WithMetricsEnabled(false).
		WithChecksumVerificationMode(options.OnBlockRead).
		WithCompactL0OnClose(false).
		WithLogger(badgerLog{s.log})
}

// begin reads and advances what the store knows of itself, in one commit.
func (s *Store) begin() error {
	err := s.db.Update(func(txn *badger.Txn) error {
		r := snapshot{txn}
		get := func(key string) ([]byte, error) {
			value, err := r.Get([]byte(key))
			if errors.Is(err, ErrNotFound) {
				return nil, nil
			}
			return value, err
		}
		put := func(key string, value []byte) error {
			return txn.Set([]byte(key), seal(formatInline, []byte(key), value))
		}
		boot, err := get(bootKey)
		if err != nil {
			return err
		}
		if len(boot) == 8 {
			s.boot = binary.BigEndian.Uint64(boot)
			_, err := r.raw([]byte(cleanKey))
			s.unclean = errors.Is(err, ErrNotFound)
		}
		s.boot++
		gateway, err := get(gatewayKey)
		if err != nil {
			return err
		}
		if gateway == nil {
			gateway = make([]byte, 4)
			rand.Read(gateway)
			if err := put(gatewayKey, gateway); err != nil {
				return err
			}
		}
		s.gateway = hex.EncodeToString(gateway)
		age, err := get(ageKey)
		if err != nil {
			return err
		}
		s.age, s.opened = decodeAge(age), time.Now()
		if s.chunks, err = chunkedKeys(r); err != nil {
			return err
		}
		if err := txn.Delete([]byte(cleanKey)); err != nil {
			return err
		}
		return put(bootKey, binary.BigEndian.AppendUint64(nil, s.boot))
	})
	if err != nil {
		return fmt.Errorf("count this start: %w", err)
	}
	return nil
}

// quarantine puts the store out of the way, for somebody to look at, with the
// trace of a crash when there is one.
func (s *Store) quarantine(reason, crash string) error {
	for n := 1; ; n++ {
		bad := s.dir + ".bad-" + strconv.Itoa(n)
		if _, err := os.Lstat(bad); !errors.Is(err, fs.ErrNotExist) {
			if err != nil {
				return fmt.Errorf("set damaged store aside: %w", err)
			}
			continue
		}
		err := os.Rename(s.dir, bad)
		if errors.Is(err, fs.ErrNotExist) {
			err = os.Mkdir(bad, 0o750) // for the trace alone
		}
		if err != nil {
			return fmt.Errorf("set damaged store aside: %w", err)
		}
		if crash != "" {
			if err := os.Rename(crash, filepath.Join(bad, "crash.txt")); err != nil {
				return fmt.Errorf("set damaged store aside: %w", err)
			}
		}
		if err := syncDir(s.path); err != nil {
			return fmt.Errorf("set damaged store aside: %w", err)
		}
		s.quarantined, s.reason = bad, reason
		s.log.Error("store was damaged and is set aside; starting with an empty one", "set_aside", bad, "err", reason)
		return nil
	}
}

// lockStore holds a lock of our own around badger's: it also covers the time
// before the database is open. The kernel lets go of it when the process ends.
func lockStore(path string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(path, "store.lock"), os.O_RDWR|os.O_CREATE, 0o640)
	if err != nil {
		return nil, err
	}
	for try := 1; ; try++ {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return f, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) || try == openTries {
			f.Close()
			if errors.Is(err, syscall.EWOULDBLOCK) {
				err = ErrInUse
			}
			return nil, err
		}
		time.Sleep(openPause)
	}
}

// environmental tells faults of the machine from damage. Badger formats its
// causes into text, so text is all that there is to ask.
func environmental(err error) bool {
	for _, errno := range []syscall.Errno{
		syscall.EACCES, syscall.EPERM, syscall.EROFS, syscall.ENOSPC, syscall.EDQUOT,
		syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM, syscall.EINTR,
	} {
		if errors.Is(err, errno) || strings.Contains(err.Error(), errno.Error()) {
			return true
		}
	}
	return strings.Contains(err.Error(), "Cannot acquire directory lock")
}

func syncDir(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// badgerLog passes on what concerns an operator; the rest is for debugging.
type badgerLog struct{ log *slog.Logger }

func (l badgerLog) Errorf(format string, v ...any) {
	l.log.Error("badger: " + strings.TrimSpace(fmt.Sprintf(format, v...)))
}
func (l badgerLog) Warningf(format string, v ...any) {
	l.log.Warn("badger: " + strings.TrimSpace(fmt.Sprintf(format, v...)))
}
func (l badgerLog) Infof(format string, v ...any) {
	l.log.Debug("badger: " + strings.TrimSpace(fmt.Sprintf(format, v...)))
}
func (l badgerLog) Debugf(string, ...any) {}

// Free says whether no process has the store below path, as an error.
func Free(path string) error {
	lock, err := lockStore(path)
	if err != nil {
		return fmt.Errorf("store %s: %w", path, err)
	}
	return lock.Close()
}
