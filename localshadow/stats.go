package localshadow

import (
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"
)

// counts are what the committer did since the store was opened.
type counts struct {
	ops, commits, bytes, nanos atomic.Uint64
	largest, slowest           atomic.Uint64
}

func (c *counts) wrote(g *group, took time.Duration) {
	c.ops.Add(uint64(len(g.ops)))
	c.commits.Add(1)
	c.bytes.Add(uint64(g.size))
	c.nanos.Add(uint64(took))
	// Only the committer writes these two.
	c.largest.Store(max(c.largest.Load(), uint64(len(g.ops))))
	c.slowest.Store(max(c.slowest.Load(), uint64(took)))
}

// StoreStats are numbers for operators.
type StoreStats struct {
	Path       string     `json:"path"`
	Durability Durability `json:"durability"`
	Boot       uint64     `json:"boot"`
	Gateway    string     `json:"gateway"`
	Unclean    bool       `json:"unclean"`
	// Quarantined is where this start put a damaged store, and Reason why;
	// empty when the store was sound. SetAside lists all that still lie there.
	Quarantined string   `json:"quarantined,omitempty"`
	Reason      string   `json:"reason,omitempty"`
	SetAside    []string `json:"set_aside,omitempty"`

	Operations    uint64        `json:"operations"` // in commits
	Commits       uint64        `json:"commits"`
	LargestCommit uint64        `json:"largest_commit"` // operations in one
	Bytes         uint64        `json:"bytes"`          // handed to the database
	CommitTime    time.Duration `json:"commit_time"`    // sum
	SlowestCommit time.Duration `json:"slowest_commit"`
	Queue         int           `json:"queue"`
	MaxQueue      int           `json:"max_queue"`
	Panics        uint64        `json:"panics"`

	Size     int64  `json:"size"` // of the database's files, as of the last minute
	DiskFree uint64 `json:"disk_free"`
	DiskNeed uint64 `json:"disk_need"` // below it writes are refused
	DiskFull bool   `json:"disk_full"`
	Error    string `json:"error,omitempty"`    // writing has ended
	Unmerged string `json:"unmerged,omitempty"` // why its tables can't be merged: it grows
}

// Stats is cheap enough to be asked every second.
func (s *Store) Stats() StoreStats {
	st := StoreStats{
		Path: s.dir, Durability: s.durability, Boot: s.boot, Gateway: s.gateway, Unclean: s.unclean,
		Quarantined: s.quarantined, Reason: s.reason,
		Operations: s.counts.ops.Load(), Commits: s.counts.commits.Load(), LargestCommit: s.counts.largest.Load(),
		Bytes: s.counts.bytes.Load(), CommitTime: time.Duration(s.counts.nanos.Load()), SlowestCommit: time.Duration(s.counts.slowest.Load()),
		Queue: len(s.slots), MaxQueue: maxQueue, Panics: s.panics.Load(),
		DiskNeed: minFree, DiskFull: s.full.Load(),
	}
	if set, err := filepath.Glob(s.dir + ".bad-*"); err == nil {
		slices.Sort(set)
		st.SetAside = set
	}
	if free, err := freeSpace(s.path); err == nil {
		st.DiskFree, st.DiskFull = free, free < minFree // whether a write was tried or not
	}
	if err := s.failure(); err != nil {
		st.Error = err.Error()
	}
	if err := s.unmerged.Load(); err != nil {
		st.Unmerged = (*err).Error()
	}
	if s.read() {
		lsm, vlog := s.db.Size()
		st.Size = lsm + vlog
		s.readers.Done()
	}
	return st
}
