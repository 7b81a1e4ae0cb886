package bridge

import "time"

// sendAll sends what the link, the pacing and the budget let go. The intents of
// what leaves together become durable together.
func (r *Reconciler) sendAll(now time.Time) {
	if !r.up || now.Before(r.quiet) {
		return
	}
	for {
		jobs, messages := r.gather(now)
		if len(jobs) == 0 {
			return
		}
		r.run(jobs)
		for i, j := range jobs {
			switch m := messages[i]; {
			case j.err != nil:
				r.failed(j.w, j.err, now)
			case m.kind != "":
				r.send(j.w, *m, now)
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
		jobs = append(jobs, &job{w: w, fn: func(s *step) (err error) {
			*m, err = s.decide(now)
			return err
		}})
	}
	return jobs, messages
}

// send sends the message whose intent is durable.
func (r *Reconciler) send(w *work, m message, now time.Time) {
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
	r.window.put(outgoing{r.ctx, r.cloud, m.token, w.id.Topic(m.kind), m.payload})
}
