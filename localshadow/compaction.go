package localshadow

import (
	"runtime/debug"
	"time"
)

// Badger's own compactors look at the levels twenty times a second each, load or
// not, which is most of what an idle gateway costs. So the store has none of
// them and merges tables itself, after a memtable was written out as a table.
// What badger offers for that, Flatten, brings all tables to one level: there is
// one below level 0, where tables lie loose, as they were written. What is
// rewritten per byte stays bounded all the same, because what lies loose may grow
// to half of what is sorted.
const (
	// oneLevel is as much as goes into the one sorted level.
	oneLevel = 1 << 40
	// maxLoose tables may lie loose: each is searched by itself.
	maxLoose = 16
	// neverStall is more tables than there will be: with so many loose ones badger
	// blocks all writes, while this store writes on, to the floor of the disk.
	neverStall = 1 << 20
	// writeOut is how long it takes at most, as a rule, to write out a memtable
	// whose log is full: only then its table is there to be looked at.
	writeOut = 2 * time.Second
	// unpool is how long badger keeps the memory that it built tables in, up to
	// eight times two tables' worth: it lets go of one part every two seconds.
	unpool = 20 * time.Second
	// mergePause is how long a merge that failed waits for its next try.
	mergePause = time.Minute
)

// merge brings loose tables to order until the committer has ended, beside all
// that goes on.
func (s *Store) merge() {
	var again, free <-chan time.Time
	for {
		select {
		case _, more := <-s.wal.begun:
			if !more {
				return
			}
			again = time.After(writeOut)
		case <-again:
			again = nil
		case <-free:
			free = nil
			debug.FreeOSMemory()
			continue
		}
		if loose, sorted := s.tables(); loose.worth(sorted) {
			err := s.room(loose.bytes + sorted.bytes)
			if err == nil {
				err = s.db.Flatten(1)
			}
			s.tellMerge(err)
			if err != nil {
				again = time.After(mergePause)
			}
			free = time.After(unpool)
		}
		if err := s.evict(); err != nil {
			s.log.Debug("tables stay in memory", "err", err)
		}
	}
}

func (s *Store) tellMerge(err error) {
	was := s.unmerged.Load()
	switch {
	case err == nil:
		if s.unmerged.Store(nil); was != nil {
			s.log.Info("tables of the store are merged again")
		}
	default:
		if s.unmerged.Store(&err); was == nil {
			s.log.Warn("tables of the store can't be merged: it grows; it is tried again", "err", err)
		}
	}
}

// tables are files of the database.
type tables struct {
	n     int
	bytes int64
}

// worth says whether loose tables are to be merged with the sorted ones.
func (t tables) worth(sorted tables) bool {
	return t.n >= maxLoose || t.n >= 2 && t.bytes >= max(memTableSize, sorted.bytes/2)
}

func (s *Store) tables() (loose, sorted tables) {
	for _, level := range s.db.Levels() {
		if level.Level == 0 {
			loose = tables{level.NumTables, level.Size}
			continue
		}
		sorted.n += level.NumTables
		sorted.bytes += level.Size
	}
	return loose, sorted
}

// room says whether a copy of all tables fits into half of what writes leave.
func (s *Store) room(bytes int64) error {
	free, err := freeSpace(s.dir)
	if err != nil {
		return err
	}
	if need := uint64(bytes) + minFree/2; free < need {
		return &DiskFullError{Path: s.dir, Free: free, Need: need}
	}
	return nil
}
