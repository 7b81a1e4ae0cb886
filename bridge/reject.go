package bridge

import (
	"fmt"
	"time"

	"edgeshadow/localshadow/shadow"
)

// block stops sending for the shadow until either side changes.
func (s *step) block(why string, size, limit int) {
	s.r.Block = &block{Why: why, Local: s.version, Cloud: s.r.Number}
	if why == "oversize" {
		s.r.Block.Detail = fmt.Sprintf("%d bytes, the cloud takes %d", size, limit)
	}
	s.changed = true
	s.w.lastError = why + ": " + s.r.Block.Detail
}

// rejected takes in the cloud's refusal of the outstanding request.
func (s *step) rejected(kind string, refusal *shadow.Error, now time.Time) error {
	w := s.w
	w.lastError = refusal.Error()
	forget := func() {
		if s.r.Flight != nil {
			s.r.Flight, s.changed = nil, true
		}
	}
	switch code := refusal.Code; {
	case code == 404 && kind == "get":
		if w.overtaken { // an event came after the get left: what it says is newer
			w.needGet = true
			return nil
		}
		if s.r.Flight != nil && s.r.Flight.Kind == "delete" {
			s.decided(ruleUnanswered, []shadow.Conflict{{Winner: shadow.Local, KeptAbsent: true, LostAbsent: true}})
		}
		forget()
		number := max(s.r.Number, w.highest, w.beyond)
		w.early, w.beyond, w.needGet = nil, 0, false
		w.flags &^= doubt
		w.succeeded(s.engine.book.seconds(now))
		return s.gone(number, 0)
	case code == 404 && kind == "delete":
		forget()
		w.set(absent, true)
		s.r.setGone(s.r.Number, 0)
		s.changed = true
		w.succeeded(s.engine.book.seconds(now))
	case code == 409:
		sent := int64(0)
		if s.r.Flight != nil {
			sent = s.r.Flight.Sent
		}
		forget()
		if w.conflicts++; w.conflicts == 1 && w.is(doubt) && w.raced < racedOften {
			w.raced++
		}
		if s.r.Number <= sent { // the change that beat us has not arrived
			w.needGet = true
		}
		if w.conflicts >= conflictsBackoff {
			s.engine.hold(w, now)
		}
	case code == 429:
		forget()
		s.engine.pace.throttled(now)
		s.engine.stats.Throttled++
		s.engine.hold(w, now)
	case code == 401 || code == 403:
		forget()
		w.state = "forbidden"
		w.wake, w.paused = now.Add(forbiddenEvery+time.Duration(s.engine.random.Int64N(int64(forbiddenEvery/10)))), false
	case code == 400 || code == 413:
		forget()
		s.block("rejected", 0, 0)
		s.r.Block.Detail = refusal.Error()
		w.lastError = "rejected: " + s.r.Block.Detail
	default: // 5xx and what is unknown: it may have been applied
		w.needGet = true
		s.engine.hold(w, now)
	}
	return nil
}
