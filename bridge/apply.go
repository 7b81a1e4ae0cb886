package bridge

import (
	"edgeshadow/localshadow"
	"edgeshadow/localshadow/shadow"
)

// step is one transaction for one shadow: the record and the local document as
// they are, and what becomes of both.
type step struct {
	tx      *localshadow.SyncTx
	w       *work
	r       *record
	local   *shadow.Document // nil: absent
	version int64            // of local or of its tombstone; 0: never was

	conflicts []shadow.Conflict
	rule      string // by which they were decided
	changed   bool   // the record must be written
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

// decided records conflicts and the rule that settled them.
func (s *step) decided(rule string, conflicts []shadow.Conflict) {
	if len(conflicts) > 0 {
		s.rule = rule
		s.conflicts = append(s.conflicts, conflicts...)
	}
}

// base is the document that the three-way merge starts from.
func (s *step) base() shadow.Document {
	if !s.r.Exists {
		return shadow.Document{}
	}
	return s.r.Base
}

// merge takes the cloud's document in: the local document becomes the merge of
// both, the base the cloud's. Base is what was last agreed, own writes
// recognised. Nothing is sent from here: what the merge leaves to push is found
// by the next decision.
func (s *step) merge(base, cloud shadow.Document, number, timestamp int64) error {
	existed := s.r.Exists
	s.r.setBase(cloud, number, timestamp)
	s.changed = true
	switch {
	case s.w.rule.direction == Up:
		return nil
	case s.local != nil:
		merged, conflicts := shadow.Reconcile(base, s.local.State, cloud, s.w.rule.policy)
		s.decided("both sides changed it", conflicts)
		return s.setLocal(merged)
	case existed && s.version > 0 && s.w.rule.direction != Down: // deleted here, and the delete is still to be sent
		stays, keep, conflicts := shadow.LocalDeleted(base, cloud)
		s.decided("deleted here, edited in the cloud", conflicts)
		if keep {
			return s.setLocal(stays)
		}
		return nil
	default:
		return s.setLocal(cloud.State)
	}
}

// gone takes in that the cloud deleted the shadow, or does not have it.
func (s *step) gone(number, timestamp int64) error {
	base, existed := s.base(), s.r.Exists
	s.r.setGone(number, timestamp)
	s.changed = true
	s.w.absent = true
	if !existed || s.local == nil || s.w.rule.direction == Up {
		return nil
	}
	stays, keep, conflicts := shadow.CloudDeleted(base, s.local.State)
	s.decided("deleted in the cloud, edited here", conflicts)
	if keep {
		return s.setLocal(stays)
	}
	return s.deleteLocal()
}

// foreign takes in an event that is next on the number line.
func (s *step) foreign(e event) error {
	if e.gone {
		return s.gone(e.number, e.Timestamp)
	}
	base := s.base()
	cloud := shadow.MergeMeta(base, e.State, e.Metadata, e.Timestamp)
	return s.merge(base, cloud, e.number, e.Timestamp)
}

// own takes in the acceptance of the request in flight. It does not touch the
// local document: a newer local edit is simply still to be sent. It reports
// false when the document must be got to know what happened.
func (s *step) own(e event) (bool, error) {
	f := s.r.Flight
	if e.gone {
		return s.ownDelete(e)
	}
	if f.Sent > 0 && e.number != f.Sent+1 { // of an earlier life of the shadow
		return true, nil
	}
	if e.number != s.r.Number+1 {
		return false, nil
	}
	s.r.setBase(shadow.MergeMeta(s.base(), e.State, e.Metadata, e.Timestamp), e.number, e.Timestamp)
	s.r.Flight, s.changed = nil, true
	return true, nil
}

// ownDelete compares the version that was deleted with the one that was to be:
// a higher one was somebody's edit. What of it reached us decides.
func (s *step) ownDelete(e event) (bool, error) {
	deleted := e.number - 1
	if deleted < s.r.Number {
		return false, nil
	}
	before := s.base()
	after, at := before, s.r.Number
	for at < deleted {
		next, ok := s.w.early[at+1]
		if !ok || next.gone {
			break
		}
		after = shadow.MergeMeta(after, next.State, next.Metadata, next.Timestamp)
		at++
	}
	s.r.Flight = nil
	s.r.setGone(e.number, e.Timestamp)
	s.changed = true
	s.w.absent = true
	if at < deleted {
		s.decided("our delete met a version that never reached us", []shadow.Conflict{{Path: "", Winner: shadow.Local, KeptAbsent: true}})
		return true, nil
	}
	stays, keep, conflicts := shadow.LocalDeleted(before, after)
	s.decided("our delete met an edit of the cloud", conflicts)
	if keep && s.local == nil {
		return true, s.setLocal(stays)
	}
	return true, nil
}

// drain applies buffered events that are next now.
func (s *step) drain() error {
	for n := range s.w.early {
		if n <= s.r.Number {
			delete(s.w.early, n)
		}
	}
	for {
		e, ok := s.w.early[s.r.Number+1]
		if !ok {
			return nil
		}
		delete(s.w.early, e.number)
		if err := s.foreign(e); err != nil {
			return err
		}
	}
}

// got takes in the cloud's whole document. It reports false when the answer is
// older than what is held, so that it must be asked again.
func (s *step) got(cloud shadow.Document, timestamp int64) (bool, error) {
	if s.r.Known && cloud.Version < s.r.Number && timestamp <= s.r.Seen {
		return false, nil
	}
	base := s.base()
	if f := s.r.Flight; f != nil {
		if f.Kind == "update" && (f.Sent == 0 || cloud.Version != f.Sent) {
			base = shadow.Recognise(base, s.r.Target, cloud)
		}
		s.r.Flight = nil
	}
	s.w.verified, s.w.absent = true, false
	if err := s.merge(base, cloud, cloud.Version, timestamp); err != nil {
		return true, err
	}
	return true, s.drain()
}
