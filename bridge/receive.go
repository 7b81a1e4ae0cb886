package bridge

import (
	"time"

	"edgeshadow/localshadow/shadow"
)

// takeArrivals takes in what the connection told, in its order. Messages of
// different shadows share a commit.
func (r *Reconciler) takeArrivals(now time.Time) {
	var batch mail
	for _, a := range r.arrivals.take() {
		switch {
		case a.up:
			r.deliver(&batch, now)
			r.linkUp(a.kept, now)
		case a.down:
			r.deliver(&batch, now)
			r.linkDown(now)
		default:
			batch.add(a)
		}
	}
	r.deliver(&batch, now)
}

// mail is messages by their shadows.
type mail struct {
	order []shadow.ID
	of    map[shadow.ID][]arrival
}

func (m *mail) add(a arrival) {
	if m.of == nil {
		m.of = map[shadow.ID][]arrival{}
	}
	if len(m.of[a.id]) == 0 {
		m.order = append(m.order, a.id)
	}
	m.of[a.id] = append(m.of[a.id], a)
}

// deliver takes the messages of each shadow in, in one step. They are
// acknowledged when it is durable; what the store refused comes again with the
// next session.
func (r *Reconciler) deliver(m *mail, now time.Time) {
	var jobs []*job
	for _, id := range m.order {
		messages := m.of[id]
		w := r.book.work(id)
		if w == nil {
			acknowledge(messages)
			continue
		}
		j := &job{w: w, fn: func(s *step) error {
			for _, a := range messages {
				if err := s.receive(a.suffix, a.payload, now); err != nil {
					return err
				}
			}
			return nil
		}}
		j.done = func(now time.Time) {
			if j.err != nil {
				r.failed(w, j.err, now)
				return
			}
			acknowledge(messages)
		}
		jobs = append(jobs, j)
	}
	*m = mail{}
	r.submit(jobs)
	for _, j := range jobs {
		if c := j.w.wants(); c != idle {
			r.enqueue(j.w.id, c)
		}
	}
}

func acknowledge(messages []arrival) {
	for _, a := range messages {
		a.ack()
	}
}

func (r *Reconciler) linkUp(kept bool, now time.Time) {
	kept = kept && !r.virgin
	r.quiet = now
	if kept {
		r.quiet = now.Add(replayWait)
	}
	if !r.virgin && now.Sub(r.down) > jitterAfter {
		r.quiet = now.Add(time.Duration(r.random.Int64N(int64(maxJitter))))
	}
	r.steady = r.quiet.Add(verifyStable)
	r.up, r.virgin = true, false
	r.outstanding, r.firsts = 0, 0
	r.window.clear()
	for _, w := range r.book.everyone() {
		w.session()
	}
	for _, id := range r.book.ring {
		c := idle
		r.book.poke(id, func(rest *rest) {
			rest.flags &^= absent | verified | first
			if !kept {
				rest.flags |= doubt
			}
			switch {
			case rest.flags&unknown != 0:
				c = command
			case rest.flags&dirty != 0:
				c = changed
				rest.flags |= first
				r.firsts++
			case rest.flags&doubt != 0:
				c = verify
			}
		})
		if w := r.book.awake[id]; w != nil && w.needGet {
			c = command
		}
		if c != idle {
			r.enqueue(id, c)
		}
	}
}

func (r *Reconciler) linkDown(now time.Time) {
	r.up, r.down = false, now
	r.outstanding = 0
	unsent := r.window.clear()
	for _, w := range r.book.everyone() {
		if w.request != nil {
			if unsent[w.request.token] {
				w.unsent = w.request.token
			}
			r.enqueue(w.id, command)
		}
		w.session()
	}
}

// receive takes one message in.
func (s *step) receive(suffix string, payload []byte, now time.Time) error {
	w, r := s.w, s.engine
	switch suffix {
	case "update/accepted", "delete/accepted":
		e, err := parseEvent(suffix, payload)
		if err != nil {
			s.unreadable(suffix, err)
			return nil
		}
		return s.event(e, now)
	case "get/accepted":
		document, a, err := shadow.ParseGet(payload)
		if w.request == nil || w.request.kind != "get" || token(a.ClientToken) != w.request.token {
			return nil // the answer to somebody else
		}
		sent := w.request.sent
		r.finish(w)
		if err != nil {
			s.unreadable(suffix, err)
			r.hold(w, now)
			return nil
		}
		r.clock.learn(a.Timestamp, sent, now)
		return s.document(document, a.Timestamp, now)
	case "get/rejected", "update/rejected", "delete/rejected":
		refusal, t, err := shadow.ParseRejected(payload)
		if err != nil || w.request == nil || token(t) != w.request.token || suffix != w.request.kind+"/rejected" {
			return nil
		}
		kind := w.request.kind
		r.finish(w)
		r.stats.Rejected++
		return s.rejected(kind, refusal, now)
	}
	return nil
}

// unreadable is a message that makes no sense: the document will tell.
func (s *step) unreadable(suffix string, err error) {
	w := s.w
	w.needGet = true
	w.lastError = err.Error()
	s.engine.log.Warn("a message of the cloud can't be read; the shadow is compared", "thing", w.id.Thing, "shadow", w.id.Name, "topic", suffix, "err", err)
}

// event takes in a change of the cloud, ours or foreign.
func (s *step) event(e event, now time.Time) error {
	w := s.w
	w.highest = max(w.highest, e.number)
	w.overtaken = true
	f := s.r.Flight
	if f == nil || token(e.ClientToken) != f.Token || e.gone != (f.Kind == "delete") {
		s.engine.stats.Foreign++
		if err := s.others(e, now); err != nil {
			return err
		}
		s.closed()
		return nil
	}
	sent := w.request
	certain, err := s.own(e)
	if err != nil {
		return err
	}
	if err := s.drain(); err != nil {
		return err
	}
	if sent != nil && sent.token == f.Token {
		s.engine.finish(w)
		s.engine.clock.learn(e.Timestamp, sent.sent, now)
	}
	if !certain {
		w.needGet = true
	}
	if !w.needGet {
		w.succeeded(s.engine.book.seconds(now))
		if w.conflicts == 0 && w.is(doubt) {
			w.raced = 0
		}
		w.conflicts = 0
		w.flags &^= doubt // accepted at its version: nobody else had changed it
	}
	s.closed()
	return nil
}

// others takes in a change of somebody else.
func (s *step) others(e event, now time.Time) error {
	switch classify(s.r, e) {
	case apply:
		if err := s.foreign(e); err != nil {
			return err
		}
		return s.drain()
	case wait:
		s.w.buffer(e, now)
	case get, restarted:
		s.w.needGet = true
	}
	return nil
}

// closed ends the wait of a gap that is none any more.
func (s *step) closed() {
	if w := s.w; w.gap && len(w.early) == 0 {
		w.gap, w.wake = false, time.Time{}
	}
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
func (s *step) document(d shadow.Document, timestamp int64, now time.Time) error {
	w := s.w
	current, err := s.got(d, timestamp)
	if err != nil {
		return err
	}
	if !current {
		s.engine.hold(w, now)
		w.needGet = true
		return nil
	}
	w.needGet = w.highest > s.r.Number && len(w.early) == 0
	w.flags &^= doubt
	w.succeeded(s.engine.book.seconds(now))
	s.closed()
	return nil
}
