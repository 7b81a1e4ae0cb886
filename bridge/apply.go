package bridge

import (
	"time"

	"edgeshadow/localshadow/shadow"
)

// Rules that settle conflicts, as the journal names them.
const (
	ruleBoth       = "both sides changed it"
	ruleFirst      = "first sync"
	ruleLocalGone  = "deleted here, edited in the cloud"
	ruleCloudGone  = "deleted in the cloud, edited here"
	ruleMet        = "our delete met an edit of the cloud"
	ruleHot        = "the cloud changed too often: reported went without a condition, over what had not arrived"
	ruleUnanswered = "our delete had no answer: an edit of the cloud just before it would be gone"
	ruleUnseen     = "our delete met a version that never reached us"
)

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
	w, existed, first := s.w, s.r.Exists, !s.r.Known
	if !existed || number != s.r.Number || timestamp-s.r.Seen > seenEvery || !same(cloud, s.r.Base) {
		s.changed = true // else a comparison that found nothing writes nothing
	}
	s.r.setBase(cloud, number, timestamp)
	switch {
	case w.rule.direction == Up:
		return nil
	case s.local != nil && first && w.rule.first == string(CloudWins):
		s.decided(ruleFirst, losses(s.local.State, cloud.State, shadow.Cloud))
		return s.setLocal(cloud.State)
	case s.local != nil && first && w.rule.first == string(LocalWins):
		s.decided(ruleFirst, losses(cloud.State, s.local.State, shadow.Local))
		return nil
	case s.local != nil:
		merged, conflicts := shadow.Reconcile(base, s.local.State, cloud, s.policy(cloud, timestamp))
		s.decided(ruleBoth, conflicts)
		return s.setLocal(merged)
	case existed && s.version > 0 && w.rule.direction == Both && w.rule.delete != Ignore: // deleted here, and the delete is still to be sent
		stays, keep, conflicts := s.localDeleted(base, cloud)
		s.decided(ruleLocalGone, conflicts)
		if keep {
			return s.setLocal(stays)
		}
		return nil
	default:
		return s.setLocal(cloud.State)
	}
}

// seenEvery is how old, in seconds, what is stored of the cloud's time may be.
const seenEvery = 12 * 60 * 60

// same tells whether two documents are equal in values and stamps.
func same(a, b shadow.Document) bool {
	return shadow.Diff(a.State, b.State) == nil && shadow.Equal(nonNil(a.Metadata.Desired), nonNil(b.Metadata.Desired)) &&
		shadow.Equal(nonNil(a.Metadata.Reported), nonNil(b.Metadata.Reported))
}

func nonNil(o *shadow.Object) *shadow.Object {
	if o == nil {
		return shadow.NewObject()
	}
	return o
}

// localDeleted is what stays of a shadow that was deleted here.
func (s *step) localDeleted(base, cloud shadow.Document) (stays shadow.State, keep bool, conflicts []shadow.Conflict) {
	if s.w.rule.delete == Propagate {
		return shadow.State{}, false, losses(cloud.State, base.State, shadow.Local)
	}
	stays, keep, conflicts = shadow.LocalDeleted(base, cloud)
	for _, c := range losses(shadow.State{Reported: cloud.State.Reported}, base.State, shadow.Local) {
		c.Kept, c.KeptAbsent = nil, true // the device's section goes with the device's delete
		conflicts = append(conflicts, c)
	}
	return stays, keep, conflicts
}

// gone takes in that the cloud deleted the shadow, or does not have it.
func (s *step) gone(number, timestamp int64) error {
	base, existed := s.base(), s.r.Exists
	s.r.setGone(number, timestamp)
	s.changed = true
	s.w.set(absent, true)
	if !existed || s.local == nil || s.w.rule.direction == Up || s.w.rule.delete == Ignore {
		return nil
	}
	if s.w.rule.delete == Propagate {
		s.decided(ruleCloudGone, losses(s.local.State, base.State, shadow.Cloud))
		return s.deleteLocal()
	}
	stays, keep, conflicts := shadow.CloudDeleted(base, s.local.State)
	s.decided(ruleCloudGone, conflicts)
	if keep {
		return s.setLocal(stays)
	}
	return s.deleteLocal()
}

// losses are the values of from that to has not: what an owner of the whole
// document takes from the other side.
func losses(from, to shadow.State, winner shadow.Side) []shadow.Conflict {
	var out []shadow.Conflict
	section := func(name string, from, to *shadow.Object) {
		for key, v := range from.All() {
			if kept, ok := to.Get(key); !ok || !shadow.Equal(kept, v) {
				out = append(out, shadow.Conflict{Path: name + "." + key, Winner: winner, Kept: kept, KeptAbsent: !ok, Lost: v})
			}
		}
	}
	section("desired", from.Desired, to.Desired)
	section("reported", from.Reported, to.Reported)
	return out
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
		if f.Partial && f.Sent == 0 {
			s.decided(ruleHot, []shadow.Conflict{{Path: "reported", Winner: shadow.Local, KeptAbsent: true}})
		}
		return false, nil
	}
	if !s.r.Exists {
		s.w.pushed = time.Time{} // the create said nothing yet
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
	s.w.set(absent, true)
	if at < deleted {
		s.decided(ruleUnseen, []shadow.Conflict{{Path: "", Winner: shadow.Local, KeptAbsent: true}})
		return true, nil
	}
	stays, keep, conflicts := s.localDeleted(before, after)
	s.decided(ruleMet, conflicts)
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
	w := s.w
	older := s.r.Known && cloud.Version < s.r.Number && timestamp <= s.r.Seen
	if older || cloud.Version < w.beyond && timestamp <= w.beyondAt {
		return false, nil
	}
	w.beyond = 0
	base := s.base()
	if f := s.r.Flight; f != nil {
		if f.Kind == "update" && (f.Sent == 0 || cloud.Version != f.Sent) {
			base = shadow.Recognise(base, s.r.Target, cloud)
		}
		s.r.Flight, s.changed = nil, true
	}
	if cloud.Version == s.r.Number && s.w.raced > 0 {
		s.w.raced--
	}
	s.w.flags = s.w.flags&^absent | verified
	if err := s.merge(base, cloud, cloud.Version, timestamp); err != nil {
		return true, err
	}
	return true, s.drain()
}
