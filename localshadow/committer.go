package localshadow

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/dgraph-io/badger/v4"
)

// ErrClosed says that the store takes nothing any more.
var ErrClosed = errors.New("store is closed")

const (
	// maxQueue bounds the operations that wait; Submit blocks beyond it.
	maxQueue = 1024
	// maxGroup and maxGroupBytes bound one commit. Badger refuses a transaction
	// of 15 % of the memtable (629 KB here) or of 6,500 entries.
	maxGroup      = 256
	maxGroupBytes = 400 << 10
	// maxUnpublished is how many committed groups may wait for their callbacks.
	maxUnpublished = 4
	// looseSync is the loss window of durability 1s.
	looseSync = time.Second
)

// PanicError is a panic inside an operation. It is logged with its stack and
// counted, its writes are dropped, and the others go on.
type PanicError struct {
	Value any
	Stack []byte
}

func (e *PanicError) Error() string { return fmt.Sprintf("store operation panicked: %v", e.Value) }

// operation is one fn on its way through the store.
type operation struct {
	fn   func(tx *Tx) error
	done func(error)
	err  error
}

// group is what one fsync serves. It is filled by execute, written by commit,
// and told by publish; each owns it in turn.
type group struct {
	store  *Store
	prev   *group // being committed: its writes may not be in txn yet
	txn    *badger.Txn
	writes map[string][]byte // sealed; nil is a removal
	size   int
	ops    []*operation
	space  error // the answer of the disk space guard, once asked
	asked  bool
	err    error // of the commit
}

func (g *group) snapshot() snapshot {
	// Not before the first read: by then the group before prev is committed.
	if g.txn == nil {
		g.txn = g.store.db.NewTransaction(false)
	}
	return snapshot{g.txn}
}

func (g *group) prevWrites() map[string][]byte {
	if g.prev == nil {
		return nil
	}
	return g.prev.writes
}

func (g *group) pending(key []byte) ([]byte, bool) {
	if sealed, ok := g.writes[string(key)]; ok {
		return sealed, true
	}
	sealed, ok := g.prevWrites()[string(key)]
	return sealed, ok
}

func (g *group) full() bool { return len(g.ops) >= maxGroup || g.size >= maxGroupBytes }

// merge makes the writes of an operation part of the group.
func (g *group) merge(tx *Tx) {
	if g.writes == nil && len(tx.writes) > 0 {
		g.writes = make(map[string][]byte)
	}
	for key, sealed := range tx.writes {
		if old, ok := g.writes[key]; ok {
			g.size -= entrySize(key, old)
		}
		g.writes[key] = sealed
		g.size += entrySize(key, sealed)
	}
	for key, n := range tx.chunks {
		if n == 0 {
			delete(g.store.chunks, key)
		} else {
			g.store.chunks[key] = n
		}
	}
	for _, fn := range tx.after {
		fn()
	}
}

// Update runs fn inside the group transaction and returns after the fsync that
// holds its writes. They apply all or nothing, and an error from fn, which is
// returned as it is, drops only fn's own. fn runs once, at its turn, one at a
// time; it must be quick and do no I/O. ctx bounds the wait for a place in the
// queue; from there on the outcome is awaited.
//
// Update must not be called from fn or from a done function of Submit.
func (s *Store) Update(ctx context.Context, fn func(tx *Tx) error) error {
	outcome := make(chan error, 1)
	s.Do(ctx, fn, func(err error) { outcome <- err })
	return <-outcome
}

// Submit is Update without the wait; it blocks only while the queue is full.
// The done functions run after the fsync, in order of submission, one at a time;
// none may wait for this store. When the operation never got into the queue (ctx
// ended, store closed), done runs at once, in the caller.
func (s *Store) Submit(ctx context.Context, fn func(tx *Tx) error, done func(error)) {
	select {
	case s.slots <- struct{}{}:
	case <-ctx.Done():
		done(fmt.Errorf("wait for the store: %w", context.Cause(ctx)))
		return
	case <-s.closing:
		done(ErrClosed)
		return
	}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		<-s.slots
		done(ErrClosed)
		return
	}
	s.queue = append(s.queue, &operation{fn: fn, done: done})
	s.underWay++
	s.mu.Unlock()
	s.wake()
}

func (s *Store) wake() {
	select {
	case s.nudge <- struct{}{}:
	default:
	}
}

// take empties the queue, once it is its turn. settled says that all operations
// before these are committed; last, that nothing follows.
func (s *Store) take(reuse []*operation) (ops []*operation, settled, last bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.led {
		return nil, false, false
	}
	settled = s.underWay == len(s.queue)
	ops, s.queue = s.queue, reuse[:0]
	return ops, settled, s.closed
}

// execute runs the operations in order and collects their writes in groups.
// A group is handed over as soon as the commit before it is done, so that the
// running fsync is the window in which the next group gathers.
func (s *Store) execute() {
	defer close(s.sealed)
	g := &group{store: s}
	next := func() {
		g.prev = nil // its own reads are over
		g = &group{store: s, prev: g}
	}
	var ops []*operation
	for {
		var settled, last bool
		ops, settled, last = s.take(ops)
		if settled {
			g.prev = nil
		}
		for i, op := range ops {
			ops[i] = nil
			<-s.slots
			tx := s.run(g, op)
			if tx.size > 0 && g.size > 0 && g.size+tx.size > maxGroupBytes {
				s.sealed <- g
				next()
			}
			g.merge(tx)
			g.ops = append(g.ops, op)
			if g.full() {
				s.sealed <- g
				next()
			}
		}
		switch {
		case len(ops) > 0: // there may be more by now
		case len(g.ops) > 0:
			select {
			case s.sealed <- g:
				next()
			case <-s.nudge:
			}
		case last:
			return
		default:
			<-s.nudge
		}
	}
}

// run gives op its turn. The Tx that it returns has writes only if op stands.
func (s *Store) run(g *group, op *operation) *Tx {
	tx := &Tx{group: g}
	defer func() {
		if op.err != nil {
			*tx = Tx{}
		}
	}()
	if op.err = s.failure(); op.err != nil {
		return tx
	}
	if op.err = s.protect(op, tx); op.err != nil {
		return tx
	}
	if tx.size > maxGroupBytes {
		op.err = &TooLargeError{tx.size, maxGroupBytes}
	} else if tx.size > 0 {
		op.err = g.checkSpace()
	}
	return tx
}

// protect keeps a panic in one request from taking the others down: its writes
// are still apart from theirs, so nothing is half done. It is never silent.
func (s *Store) protect(op *operation, tx *Tx) (err error) {
	defer func() {
		if v := recover(); v != nil {
			s.panics.Add(1)
			e := &PanicError{Value: v, Stack: debug.Stack()}
			s.log.Error("store operation panicked; its writes are dropped", "err", e, "stack", string(e.Stack))
			err = e
		}
	}()
	return op.fn(tx)
}

// checkSpace asks the disk once per group: the group's bytes are within slack.
func (g *group) checkSpace() error {
	if !g.asked {
		g.asked = true
		g.space = checkSpace(g.store.dir)
		g.store.tellSpace(g.space)
	}
	return g.space
}

// commit writes one group after the other. The first failure is the last
// write: after a failed fsync nobody knows what is on disk, and later groups
// were computed from what was lost.
func (s *Store) commit() {
	defer close(s.committed)
	var (
		unsynced bool
		tick     <-chan time.Time
	)
	for {
		select {
		case g, ok := <-s.sealed:
			if !ok {
				return
			}
			if s.finish(g) && s.durability == OneSecond && !unsynced {
				unsynced = true
				tick = time.After(looseSync)
			}
			s.committed <- g
		case <-tick:
			unsynced, tick = false, nil
			if err := s.wal.sync(); err != nil {
				s.fail(fmt.Errorf("sync store: %w", err))
			}
		}
	}
}

// finish ends a group: its writes, if it has any, are committed then, or it has
// an error.
func (s *Store) finish(g *group) (written bool) {
	if g.txn != nil {
		g.txn.Discard()
	}
	if g.err = s.failure(); g.err != nil || len(g.writes) == 0 {
		return false
	}
	if g.err = s.write(g); g.err != nil {
		s.fail(g.err)
	}
	return g.err == nil
}

func (s *Store) write(g *group) error {
	begin := time.Now()
	txn := s.db.NewTransaction(true)
	defer txn.Discard()
	for key, sealed := range g.writes {
		var err error
		if sealed == nil {
			err = txn.Delete([]byte(key))
		} else {
			err = txn.SetEntry(badger.NewEntry([]byte(key), sealed))
		}
		if err != nil {
			return fmt.Errorf("commit %d operations: %w", len(g.ops), err)
		}
	}
	err := txn.Commit()
	if err == nil {
		err = s.wal.follow()
	}
	if err == nil && s.durability == Sync {
		err = s.wal.sync()
	}
	if err != nil {
		return fmt.Errorf("commit %d operations: %w", len(g.ops), err)
	}
	took := time.Since(begin)
	s.counts.wrote(g, took)
	if s.Committed != nil {
		s.Committed(took)
	}
	return nil
}

// publish tells the operations of each committed group, in order, while the
// next group is being written.
func (s *Store) publish() {
	for g := range s.committed {
		g.tell()
		s.mu.Lock()
		s.underWay -= len(g.ops)
		s.mu.Unlock()
	}
}

func (g *group) tell() {
	for _, op := range g.ops {
		if op.err == nil {
			op.err = g.err
		}
		op.done(op.err)
	}
}

// start begins the three loops; wait ends when all of them have ended.
func (s *Store) start(wait *sync.WaitGroup) {
	wait.Go(s.execute)
	wait.Go(s.commit)
	wait.Go(s.publish)
}
