package bridge

import (
	"time"

	"edgeshadow/localshadow/shadow"
)

// message is the one next message of a shadow.
type message struct {
	kind    string // get, update, delete; empty: none
	token   string
	payload []byte
}

// decide computes the next message of a shadow from what is stored, and makes
// the intent to write durable with it. It is the whole of the sending side:
//
//	unknown, in doubt or ambiguous   get
//	deleted here                     get, then delete
//	new here                         get (404), then update
//	different                        update, on the condition that the cloud is at base
func (s *step) decide(now time.Time, newToken func() string, limit int) (message, error) {
	r, w := s.r, s.w
	get := func() (message, error) {
		t := newToken()
		return message{"get", t, appendRequest(nil, nil, 0, t)}, nil
	}
	if w.needGet || !r.Known || r.Flight != nil {
		return get()
	}
	if r.Block != nil {
		if r.Block.Local == s.version && r.Block.Cloud == r.Number {
			if w.doubt {
				return get()
			}
			return message{}, nil
		}
		r.Block, s.changed = nil, true
	}
	patch := r.dirty(s.local)
	deleted := s.local == nil && r.Exists && s.version > 0
	created := s.local != nil && !r.Exists
	pending := w.rule.direction != Down && (deleted || created || s.local != nil && patch != nil)
	if !pending {
		if w.doubt {
			return get()
		}
		w.dirtySince = time.Time{}
		return message{}, nil
	}
	if w.dirtySince.IsZero() {
		w.dirtySince = now
	}
	if deleted && !w.verified || created && !w.absent {
		return get() // a delete has no condition, and a create must not be blind
	}
	if next := w.pushed.Add(pushInterval); now.Before(next) {
		w.wake = next
		return message{}, nil
	}
	if deleted {
		return s.intend(flight{Kind: "delete", Token: newToken(), Sent: r.Number}, nil)
	}
	if shadow.Size(s.local.State) > limit {
		s.block("oversize", shadow.Size(s.local.State), limit)
		return message{}, nil
	}
	f := flight{Kind: "update", Token: newToken()}
	if r.Exists {
		f.Sent = r.Number
	}
	if reported, ok := patch.Get("reported"); ok && w.conflicts >= conflictsPartial {
		// The device owns reported and patches are per leaf: without a version
		// this cannot hurt, and a hot foreign writer cannot hold it up for ever.
		patch = shadow.NewObject(shadow.Member{Key: "reported", Value: reported})
		f.Sent, f.Partial = 0, true
	}
	if patch == nil {
		patch = shadow.NewObject()
	}
	return s.intend(f, patch)
}

// intend stores the request before it leaves.
func (s *step) intend(f flight, patch *shadow.Object) (message, error) {
	s.r.Flight, s.changed = &f, true
	if f.Kind == "delete" {
		s.r.Target = shadow.State{}
		return message{f.Kind, f.Token, appendRequest(nil, nil, 0, f.Token)}, nil
	}
	s.r.Target = shadow.Merge(s.base().State, patch)
	return message{f.Kind, f.Token, appendRequest(nil, patch, f.Sent, f.Token)}, nil
}

// appendRequest is a request document; version 0 is left out.
func appendRequest(dst []byte, patch *shadow.Object, version int64, token string) []byte {
	var members []shadow.Member
	if patch != nil {
		members = append(members, shadow.Member{Key: "state", Value: patch})
	}
	if version > 0 {
		v, _ := shadow.Of(version)
		members = append(members, shadow.Member{Key: "version", Value: v})
	}
	members = append(members, shadow.Member{Key: "clientToken", Value: token})
	return shadow.Append(dst, shadow.NewObject(members...))
}
