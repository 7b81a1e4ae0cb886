package localshadow

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// walSuffix is that of badger's write-ahead logs, one for each memtable. Their
// names are numbers that grow by one.
const walSuffix = ".mem"

// wal brings badger's write-ahead log to the disk. Badger can do that itself,
// but syncs its value log with each commit, too, in which this store has
// nothing: that doubles the time of a commit and the wear of flash. And its Sync
// knows only the log that is in use, not one that was full a moment ago.
//
// A commit lies whole in one log: the newest one when it returns. Older logs
// were synced with the commits that they hold, and once more when they are left.
type wal struct {
	dir   string
	id    int
	file  *os.File
	begun chan struct{} // told of each log that was begun, once for several
}

// openWAL finds the newest log of an open database.
func openWAL(dir string) (*wal, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	w := &wal{dir: dir, id: -1, begun: make(chan struct{}, 1)}
	for _, e := range entries {
		if name, ok := strings.CutSuffix(e.Name(), walSuffix); ok {
			if id, err := strconv.Atoi(name); err == nil {
				w.id = max(w.id, id)
			}
		}
	}
	if w.id < 0 {
		return nil, fmt.Errorf("no write-ahead log in %s", dir)
	}
	if w.file, err = os.Open(w.path(w.id)); err != nil {
		return nil, err
	}
	return w, syncDir(dir)
}

func (w *wal) path(id int) string { return filepath.Join(w.dir, fmt.Sprintf("%05d%s", id, walSuffix)) }

// follow goes on to the next log when there is one. It is called after each
// commit, which begins one log at most.
func (w *wal) follow() error {
	next, err := os.Open(w.path(w.id + 1))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	err = errors.Join(w.sync(), w.file.Close(), syncDir(w.dir))
	w.file, w.id = next, w.id+1
	w.tell()
	return err
}

func (w *wal) tell() {
	select {
	case w.begun <- struct{}{}:
	default:
	}
}

// sync returns when all that was committed and followed is on disk: the pages of
// the log, which badger writes to through memory.
func (w *wal) sync() error {
	for {
		err := unix.Fdatasync(int(w.file.Fd()))
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

func (w *wal) close() error { return w.file.Close() }
