package bridge

import "time"

// sendAll sends what the link, the pacing and the budget let go. The intents of
// what leaves together become durable together, and then it leaves.
func (r *Reconciler) sendAll(now time.Time) {
	if !r.up || now.Before(r.quiet) {
		return
	}
	for {
		jobs, messages := r.gather(now)
		if len(jobs) == 0 {
			return
		}
		r.submit(jobs)
		for i, j := range jobs {
			if m := messages[i]; j.stood && m.kind != "" {
				r.sent(j.w, *m, now)
			}
		}
	}
}

// gather takes as many shadows from the queues as may send now.
func (r *Reconciler) gather(now time.Time) (jobs []*job, messages []*message) {
	r.pace.fill(now)
	for r.outstanding+len(jobs) < r.places() && until(r.pace.tokens-float64(len(jobs)), 1) == 0 {
		id, c, ok := r.queues.pop(r.firsts == 0 && !now.Before(r.steady))
		if !ok {
			break
		}
		if r.book.peek(id).class != c {
			continue // it moved to a better queue
		}
		w := r.book.work(id)
		if w == nil {
			continue // a new configuration took it out
		}
		w.class = idle
		if w.is(first) {
			w.flags &^= first
			r.firsts--
		}
		if w.request != nil || now.Before(w.wake) && !(w.paused && w.needGet) {
			continue // it comes back with the answer, or when the wait is over
		}
		if wait := r.pace.waitThing(id.Thing, now); wait > 0 {
			w.wake = now.Add(wait)
			continue
		}
		m := new(message)
		messages = append(messages, m)
		jobs = append(jobs, r.sending(w, m, now))
	}
	return jobs, messages
}

// sending is the step that decides the next message of a shadow. The message
// leaves when its intent is durable, if the link has not been lost meanwhile.
func (r *Reconciler) sending(w *work, m *message, now time.Time) *job {
	j := &job{w: w, fn: func(s *step) (err error) {
		if *m, err = s.decide(now); m.kind != "" {
			r.window.expect(m.token)
		}
		return err
	}}
	j.leave = func() {
		if m.kind != "" {
			r.window.put(outgoing{r.ctx, r.cloud, m.token, w.id.Topic(m.kind), m.payload})
		}
	}
	j.done = func(now time.Time) {
		if j.err == nil {
			return
		}
		r.window.end(m.token)
		if w.request != nil && w.request.token == m.token {
			r.finish(w)
		}
		r.failed(w, j.err, now)
	}
	return j
}

// sent counts the message that leaves as soon as its intent is durable.
func (r *Reconciler) sent(w *work, m message, now time.Time) {
	if m.kind == "get" {
		w.asks()
		r.stats.Gets++
	} else {
		w.pushed = now
		r.stats.Pushes++
	}
	r.pace.take(w.id.Thing)
	r.budget.spent(1)
	w.request = &request{kind: m.kind, token: m.token, sent: now, deadline: now.Add(answerTimeout)}
	r.outstanding++
}
