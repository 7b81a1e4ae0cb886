package bridge

import (
	"time"

	"edgeshadow/localshadow/shadow"
)

// Up begins a session. Kept: the cloud held our subscriptions, and replays what
// they missed; then a clean shadow needs no comparison. The first session of
// the process counts as a lost one.
func (r *Reconciler) Up(kept bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	kept = kept && !r.first
	r.up, r.first = true, false
	r.outstanding = 0
	for _, w := range r.works {
		w.session()
		if !kept {
			w.doubt = true
		}
		switch {
		case kept && (w.needGet || w.lastOK.IsZero()):
			r.enqueue(w, command)
		case kept: // clean, or in its queue since it changed
		case r.differs(w):
			r.enqueue(w, changed)
		default:
			r.enqueue(w, verify)
		}
	}
	r.poke()
}

// differs tells whether a shadow has something to push or was never seen, so
// that it is served before the comparisons.
func (r *Reconciler) differs(w *work) bool {
	differs := true
	err := r.step(w, func(s *step) error {
		differs = !s.r.Known || s.r.Flight != nil || (s.local != nil) != s.r.Exists || s.r.dirty(s.local) != nil
		return nil
	})
	return err != nil || differs
}

// Down ends a session. What was outstanding is ambiguous now, which the record says.
func (r *Reconciler) Down(error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.up = false
	r.outstanding = 0
	for _, w := range r.works {
		if w.request != nil {
			r.enqueue(w, command)
		}
		w.session()
	}
}

// Message takes one message of the cloud in, and acknowledges it when what
// follows from it is durable.
func (r *Reconciler) Message(topic string, payload []byte, ack func()) {
	id, suffix, ok := shadow.ParseTopic(topic)
	r.mu.Lock()
	defer r.mu.Unlock()
	var w *work
	if ok {
		w = r.work(id)
	}
	if w == nil {
		ack()
		return
	}
	now := time.Now()
	err := r.receive(w, suffix, payload, now)
	if err != nil {
		r.failed(w, err, now) // not acknowledged: it comes again with the next session
	} else {
		ack()
	}
	if w.needGet {
		r.enqueue(w, command)
	} else {
		r.enqueue(w, changed)
	}
	r.timed[w] = true
	r.poke()
}

func (r *Reconciler) receive(w *work, suffix string, payload []byte, now time.Time) error {
	switch suffix {
	case "update/accepted", "delete/accepted":
		e, err := parseEvent(suffix, payload)
		if err != nil {
			r.unreadable(w, suffix, err)
			return nil
		}
		return r.event(w, e, now)
	case "get/accepted":
		document, a, err := shadow.ParseGet(payload)
		if w.request == nil || w.request.kind != "get" || token(a.ClientToken) != w.request.token {
			return nil // the answer to somebody else
		}
		r.finish(w)
		if err != nil {
			r.unreadable(w, suffix, err)
			w.hold(now)
			return nil
		}
		return r.document(w, document, a.Timestamp, now)
	case "get/rejected", "update/rejected", "delete/rejected":
		refusal, t, err := shadow.ParseRejected(payload)
		if err != nil || w.request == nil || token(t) != w.request.token || suffix != w.request.kind+"/rejected" {
			return nil
		}
		kind := w.request.kind
		r.finish(w)
		r.stats.Rejected++
		return r.step(w, func(s *step) error { return s.rejected(kind, refusal, now) })
	}
	return nil
}

// unreadable is a message that makes no sense: the document will tell.
func (r *Reconciler) unreadable(w *work, suffix string, err error) {
	w.needGet = true
	w.lastError = err.Error()
	r.log.Warn("a message of the cloud can't be read; the shadow is compared", "thing", w.id.Thing, "shadow", w.id.Name, "topic", suffix, "err", err)
}

// event takes in a change of the cloud, ours or foreign.
func (r *Reconciler) event(w *work, e event, now time.Time) error {
	w.highest = max(w.highest, e.number)
	w.overtaken = true
	own := false
	err := r.step(w, func(s *step) error {
		f := s.r.Flight
		own = f != nil && token(e.ClientToken) == f.Token && e.gone == (f.Kind == "delete")
		if own {
			certain, err := s.own(e)
			if !certain {
				w.needGet = true
			}
			if err != nil {
				return err
			}
			return s.drain()
		}
		switch classify(s.r, e) {
		case apply:
			if err := s.foreign(e); err != nil {
				return err
			}
			return s.drain()
		case wait:
			s.w.buffer(e, now)
		case get, restarted:
			w.needGet = true
		}
		return nil
	})
	if err != nil {
		return err
	}
	if own {
		r.finish(w)
		if !w.needGet {
			w.succeeded(now)
			w.conflicts = 0
			w.doubt = false // accepted at its version: nobody else had changed it
		}
	} else {
		r.stats.Foreign++
	}
	if w.gap && len(w.early) == 0 {
		w.gap, w.wake = false, time.Time{}
	}
	return nil
}

// buffer keeps an event beyond a gap for when the gap closes.
func (w *work) buffer(e event, now time.Time) {
	if len(w.early) >= maxEarly {
		w.early, w.needGet = nil, true
		return
	}
	if w.early == nil {
		w.early = map[int64]event{}
	}
	w.early[e.number] = e
	if !w.gap && w.wake.IsZero() {
		w.gap, w.wake = true, now.Add(gapWait)
	}
}

// document takes in the answer to a get.
func (r *Reconciler) document(w *work, d shadow.Document, timestamp int64, now time.Time) error {
	current := false
	var number int64
	err := r.step(w, func(s *step) (err error) {
		current, err = s.got(d, timestamp)
		number = s.r.Number
		return err
	})
	if err != nil {
		return err
	}
	if !current {
		w.hold(now)
		w.needGet = true
		return nil
	}
	w.needGet = w.highest > number && len(w.early) == 0
	w.doubt = false
	w.succeeded(now)
	return nil
}
