package bridge

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"edgeshadow/localshadow"
)

// maxTurns are how many turns a batch may be on its way before the next one
// waits for it: the turns that begin during an fsync gather what it is too late
// for.
const maxTurns = 2

// job is a step that stands in line for the store.
type job struct {
	w     *work
	fn    func(s *step) error
	look  func(s *step)       // instead of fn: it changes nothing
	leave func()              // as soon as the step is durable; nil: nothing waits for that
	done  func(now time.Time) // in a turn after that, or after the refusal that err is; nil: nothing follows

	s     *step
	kept  *record // that the shadow's last step left; nil: the store has it
	place int     // among the steps of the shadow
	ran   bool
	stood bool  // it ran, and found no fault
	err   error // why nothing of it holds; known when the batch is durable
}

// batch is the steps of different shadows that were submitted together, in
// their order.
type batch struct {
	jobs  []*job
	turn  int
	ended int // requests, when it was submitted
	ran   sync.WaitGroup
	left  atomic.Int32  // not durable yet
	last  chan struct{} // closed when it is
}

// submit puts jobs in line, and returns when all have run: what they found in
// the records and left in work counts from then on, for the steps that follow.
// That it lasts is known when the batch is durable. Until then the turns go on:
// the store keeps the order, and one fsync serves all that came meanwhile.
func (r *Reconciler) submit(jobs []*job) *batch {
	if len(jobs) == 0 {
		return nil
	}
	b := &batch{jobs: jobs, turn: r.turns, ended: r.window.count(), last: make(chan struct{})}
	b.ran.Add(len(jobs))
	b.left.Store(int32(len(jobs)))
	for _, j := range jobs {
		w := j.w
		w.steps++
		w.underway++
		j.place, j.kept, w.record = w.steps, w.record, nil
		r.service.SubmitSync(r.ctx, w.id, func(tx *localshadow.SyncTx) error {
			err := r.step(j, tx)
			j.ran, j.stood = true, err == nil
			b.ran.Done()
			return err
		}, func(err error) {
			if j.err = err; err == nil && j.leave != nil {
				j.leave()
			}
			if !j.ran {
				b.ran.Done()
			}
			if b.left.Add(-1) == 0 {
				close(b.last)
				r.poke()
			}
		})
	}
	b.ran.Wait()
	r.batches = append(r.batches, b)
	return b
}

// run runs jobs, which change nothing, and returns the first fault.
func (r *Reconciler) run(jobs []*job) error {
	b := r.submit(jobs)
	<-b.last
	r.catchUp(time.Now())
	for _, j := range jobs {
		if j.err != nil {
			return j.err
		}
	}
	return nil
}

// catchUp does what follows from steps that became durable, and waits for those
// that have been on their way for too many turns.
func (r *Reconciler) catchUp(now time.Time) {
	for len(r.batches) > 0 {
		b := r.batches[0]
		if b.left.Load() > 0 && r.turns-b.turn < maxTurns {
			return
		}
		r.end(b, now)
	}
}

// end does what follows from the first batch, once it is durable.
func (r *Reconciler) end(b *batch, now time.Time) {
	<-b.last
	r.batches = slices.Delete(r.batches, 0, 1)
	r.ahead = max(min(2*(r.window.count()-b.ended), maxAhead), r.ahead*7/8)
	for _, j := range b.jobs {
		w := j.w
		w.underway--
		r.book.touch(w)
		if j.err == nil {
			if j.place == w.steps {
				w.record = j.s.r
			}
			r.tell(j.s.decisions)
		} else {
			r.changesMu.Lock()
			delete(r.own, w.id)
			r.changesMu.Unlock()
		}
		if j.done != nil {
			j.done(now)
		}
	}
}

// tell tells of conflicts that were decided.
func (r *Reconciler) tell(decisions []Decision) {
	for _, d := range decisions {
		r.stats.Conflicts++
		r.log.Info("conflict decided", "thing", d.Thing, "shadow", d.Shadow, "path", d.Path,
			"winner", d.Winner, "kept", d.Kept, "lost", d.Lost, "rule", d.Rule)
	}
}
