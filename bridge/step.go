package bridge

import (
	"context"
	"errors"
	"time"

	"edgeshadow/localshadow"
	"edgeshadow/localshadow/shadow"
)

// step is one transaction for one shadow: the record and the local document as
// they are, and what becomes of both.
type step struct {
	engine  *Reconciler
	tx      *localshadow.SyncTx
	w       *work
	r       *record
	local   *shadow.Document // nil: absent
	version int64            // of local or of its tombstone; 0: never was

	decisions []Decision
	changed   bool // the record must be written
}

// step is one job's turn in the store.
func (r *Reconciler) step(j *job, tx *localshadow.SyncTx) error {
	s := &step{engine: r, tx: tx, w: j.w, r: j.kept}
	j.s = s
	if err := s.load(); err != nil {
		return err
	}
	if j.look != nil {
		j.look(s)
		return nil
	}
	before := s.local
	if err := j.fn(s); err != nil {
		return err
	}
	s.settle()
	if err := s.journal(); err != nil {
		return err
	}
	if s.local != before {
		r.changesMu.Lock()
		r.own[j.w.id] = s.version
		r.changesMu.Unlock()
	}
	if !s.changed {
		return nil
	}
	data, err := s.r.encode()
	if err != nil {
		return err
	}
	return tx.SetRecord(data)
}

// load reads both sides.
func (s *step) load() error {
	if s.r != nil {
		return s.reload()
	}
	data, err := s.tx.Record()
	if err != nil {
		return err
	}
	if s.r, err = decodeRecord(data); err != nil {
		s.engine.log.Warn("sync record set aside; the shadow is compared with the cloud", "thing", s.w.id.Thing, "shadow", s.w.id.Name, "err", err)
		s.r, s.changed = &record{}, true
	}
	return s.reload()
}

// settle notes whether both sides are equal now, as far as is known.
func (s *step) settle() {
	w := s.w
	w.flags &^= unknown
	if !s.r.Known {
		w.flags |= unknown
	}
	if !s.open() {
		w.flags &^= dirty
		w.since = 0
		if s.r.Settled != s.version && s.changed {
			s.r.Settled = s.version
		}
		if s.r.Stamps != nil {
			s.r.Stamps, s.changed = nil, true
		}
		return
	}
	if w.flags&dirty == 0 || w.since == 0 {
		w.since = s.engine.book.seconds(time.Now())
	}
	w.flags |= dirty
}

// open tells whether something is left to do for a shadow: it differs, or a
// request has no answer.
func (s *step) open() bool {
	return s.r.Flight != nil || s.w.rule.direction != Down && s.differs()
}

// differs tells whether both sides are different, as far as is known.
func (s *step) differs() bool {
	if s.local == nil && s.r.Exists && s.version > 0 && s.w.rule.delete == Ignore {
		return false // deleted here, which is no business of the cloud
	}
	return s.r.dirty(s.local) != nil || (s.local != nil) != s.r.Exists
}

// setLocal makes a merged state the local one.
func (s *step) setLocal(state shadow.State) error {
	if err := s.tx.SetLocal(state); err != nil {
		return err
	}
	return s.reload()
}

func (s *step) deleteLocal() error {
	if err := s.tx.DeleteLocal(); err != nil {
		return err
	}
	return s.reload()
}

func (s *step) reload() (err error) {
	s.local, s.version, err = s.tx.Local()
	return err
}

// failed is a step that the store refused: nothing of it holds, and the shadow
// waits.
func (r *Reconciler) failed(w *work, err error, now time.Time) {
	if errors.Is(err, context.Canceled) {
		return
	}
	w.lastError = err.Error()
	w.needGet = true
	r.hold(w, now)
	r.log.Warn("sync step", "thing", w.id.Thing, "shadow", w.id.Name, "err", err)
}
