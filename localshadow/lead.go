package localshadow

import "context"

// Do is Submit for a caller that has nothing else to do: where no operation is
// under way, this one is executed, committed and told on the caller's goroutine.
// That saves the hand-offs to three others, which on a processor that fell idle
// during the fsync take as long as the rest. done must not need what the caller
// holds.
func (s *Store) Do(ctx context.Context, fn func(tx *Tx) error, done func(error)) {
	if !s.lead() {
		s.Submit(ctx, fn, done)
		return
	}
	defer s.follow()
	g := &group{store: s}
	op := &operation{fn: fn, done: done}
	g.merge(s.run(g, op))
	g.ops = append(g.ops, op)
	s.finish(g)
	g.tell()
}

// lead takes the place of execute, commit and publish, which have nothing to do.
// With a durability of 1s commit has: it syncs at its own time.
func (s *Store) lead() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.underWay > 0 || s.durability != Sync {
		return false
	}
	s.led = true
	s.underWay = 1
	s.loops.Add(1)
	return true
}

// follow gives the place back. Operations may be waiting.
func (s *Store) follow() {
	s.mu.Lock()
	s.led = false
	s.underWay--
	waiting := len(s.queue) > 0 || s.closed
	s.mu.Unlock()
	if waiting {
		s.wake()
	}
	s.loops.Done()
}
