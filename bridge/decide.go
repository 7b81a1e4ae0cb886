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

// intent is what the next message of a shadow would be, and why.
type intent struct {
	kind  string // get, update, delete; empty: none
	why   string
	patch *shadow.Object // of an update
	sent  int64          // the version that it is conditional on; 0: none
	size  int            // of a document that is too large
	// partial: not all that differs is in the patch.
	partial bool
}

// decide computes the next message of a shadow from what is stored, and makes
// the intent to write durable with it. It is the whole of the sending side.
func (s *step) decide(now time.Time) (message, error) {
	r, w := s.r, s.w
	if r.Flight != nil && r.Flight.Token == w.unsent {
		r.Flight, s.changed = nil, true
	}
	w.unsent = ""
	i := s.next()
	if i.size > 0 {
		s.block("oversize", i.size, cloudLimit)
		return message{}, nil
	}
	if r.Block != nil && (r.Block.Local != s.version || r.Block.Cloud != r.Number) {
		r.Block, s.changed = nil, true
	}
	switch i.kind {
	case "":
		return message{}, nil
	case "get":
		t := s.engine.newToken()
		return message{"get", t, appendRequest(nil, nil, 0, t)}, nil
	}
	if next := w.pushed.Add(s.engine.budget.window(w.rule.interval)); now.Before(next) {
		w.wake, w.paused = next, true
		return message{}, nil
	}
	f := flight{Kind: i.kind, Token: s.engine.newToken(), Sent: i.sent, Partial: i.partial}
	r.Flight, s.changed = &f, true
	if i.kind == "delete" {
		r.Target = shadow.State{}
		return message{f.Kind, f.Token, appendRequest(nil, nil, 0, f.Token)}, nil
	}
	r.Target = shadow.Merge(s.base().State, i.patch)
	return message{f.Kind, f.Token, appendRequest(nil, i.patch, f.Sent, f.Token)}, nil
}

// next computes what to do:
//
//	unknown, in doubt or ambiguous   get
//	deleted here                     get, then delete
//	new here                         get (404), an empty update, then update
//	different                        update, on the condition that the cloud is at base
func (s *step) next() intent {
	r, w := s.r, s.w
	switch {
	case r.Flight != nil:
		return intent{kind: "get", why: "a request has no answer"}
	case !r.Known:
		return intent{kind: "get", why: "the cloud was never asked"}
	case w.needGet:
		return intent{kind: "get", why: "a change of the cloud is missing"}
	}
	if r.Block != nil && r.Block.Local == s.version && r.Block.Cloud == r.Number {
		if w.is(doubt) {
			return intent{kind: "get", why: "the comparison is due"}
		}
		return intent{why: r.Block.Why}
	}
	if w.rule.direction == Down || !s.differs() {
		if w.is(doubt) {
			return intent{kind: "get", why: "the comparison is due"}
		}
		return intent{why: "equal"}
	}
	deleted, created := s.local == nil, !r.Exists
	switch {
	case deleted && !w.is(verified):
		return intent{kind: "get", why: "a delete has no condition, so the cloud's state must be known"}
	case created && !w.is(absent):
		return intent{kind: "get", why: "a create must not be blind"}
	case w.is(doubt) && (w.rule.getFirst || w.raced >= racedOften):
		return intent{kind: "get", why: "get-first"}
	case w.is(doubt) && !s.engine.clock.within(r.Seen, counterLife):
		return intent{kind: "get", why: "the cloud's version may have started over"}
	case deleted:
		return intent{kind: "delete", why: "deleted here", sent: r.Number}
	}
	return s.push()
}

// push is the update that brings the cloud to the local document.
func (s *step) push() intent {
	r, w := s.r, s.w
	if !r.Exists {
		// A create has no condition: it could overwrite what somebody made an
		// instant ago. So it says nothing, and the rest follows on the condition
		// that nobody was quicker.
		return intent{kind: "update", why: "made here", patch: shadow.NewObject()}
	}
	i := intent{kind: "update", why: "changed here", patch: r.dirty(s.local), sent: r.Number}
	if size := shadow.Size(s.local.State); size > cloudLimit {
		if i.patch = s.fitting(i.patch); i.patch == nil || !w.rule.partial {
			return intent{why: "oversize", size: size}
		}
		i.why, i.partial = "what fits", true
		return i
	}
	if reported, ok := i.patch.Get("reported"); ok && w.conflicts >= conflictsPartial {
		// The device owns reported and patches are per leaf: without a version
		// this cannot hurt, and a hot foreign writer cannot hold it up for ever.
		i.patch = shadow.NewObject(shadow.Member{Key: "reported", Value: reported})
		i.sent, i.partial = 0, true
	}
	return i
}

// fitting is the part of a patch after which the document still fits:
// removals, then the members of the sections one by one; nil when nothing.
func (s *step) fitting(patch *shadow.Object) *shadow.Object {
	base := s.base().State
	var out *shadow.Object
	take := func(removals bool) {
		for name, v := range patch.All() {
			section, ok := v.(*shadow.Object)
			if !ok {
				out = out.With(name, nil) // the whole section goes
				continue
			}
			for key, v := range section.All() {
				if (v == nil) != removals {
					continue
				}
				so, _ := out.Get(name)
				part, _ := so.(*shadow.Object)
				if next := out.With(name, part.With(key, v)); shadow.Size(shadow.Merge(base, next)) <= cloudLimit {
					out = next
				}
			}
		}
	}
	take(true)
	take(false)
	return out
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
