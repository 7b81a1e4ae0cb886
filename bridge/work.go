package bridge

import (
	"time"

	"edgeshadow/localshadow/shadow"
)

// work is what the engine remembers of a shadow while something is done for
// it. All of it can be lost: what must survive is in the record.
type work struct {
	id   shadow.ID
	rule rule
	rest

	touched  bool
	steps    int      // of the shadow, ever
	underway int      // of them, not durable yet
	record   *record  // as the store has it; nil: not read, or a step is on its way
	request  *request // outstanding; at most one

	unsent  string // the token of a request that was ready, and never left: no answer is missing
	needGet bool   // the base can't be trusted until the document was got

	early     map[int64]event // events beyond a gap, by number
	beyond    int64           // the highest of early when the last get was sent: its answer must know it,
	beyondAt  int64           // unless it is of a later time, of a counter that started over
	highest   int64           // number seen since the last get was sent
	overtaken bool            // an event came since the last get was sent
	wake      time.Time       // nothing before it: a gap's wait, a backoff, a pause between pushes
	gap       bool            // wake ends a gap's wait
	paused    bool            // wake ends a pause between pushes, for which a get need not wait

	failures  int // in a row, for the backoff
	conflicts int // 409 in a row
	pushed    time.Time

	state     string // for people, beside what the record says
	lastError string
}

// request is a message to the cloud that waits for its answer.
type request struct {
	kind     string // get, update, delete
	token    string
	sent     time.Time
	deadline time.Time
}

// Pacing of one shadow.
const (
	answerTimeout = 10 * time.Second
	gapWait       = time.Second // events may be reordered; then the document is got
	pushInterval  = 500 * time.Millisecond
	maxEarly      = 32 // events buffered beyond a gap; more: get

	backoffMin       = time.Second
	backoffMax       = 5 * time.Minute
	forbiddenEvery   = 15 * time.Minute
	comparisonsEvery = 24 * time.Hour
	provenFor        = time.Hour      // an answer proves enough for so long
	counterLife      = 47 * time.Hour // the cloud forgets the version of a deleted shadow after 48

	conflictsBackoff = 3 // 409 in a row from which to wait
	conflictsPartial = 8 // from which reported goes without a version
	racedOften       = 3 // pushes in a row that met a 409 first, from which to get first
)

// session forgets what was true of the link that was lost.
func (w *work) session() {
	w.request, w.overtaken = nil, false
	w.flags &^= absent | verified
	if len(w.early) > 0 {
		w.early, w.needGet = nil, true
	}
	if w.gap {
		w.gap, w.wake = false, time.Time{}
	}
}

// asks begins a get. What came before it is in its answer.
func (w *work) asks() {
	for n, e := range w.early {
		if n > w.beyond {
			w.beyond, w.beyondAt = n, e.Timestamp
		}
	}
	w.early, w.highest, w.overtaken = nil, 0, false
	if w.gap {
		w.gap, w.wake = false, time.Time{}
	}
}

// succeeded ends the backoff; only an accepted push ends a row of conflicts.
func (w *work) succeeded(at uint32) {
	w.failures, w.lastError, w.state = 0, "", ""
	w.ok = at
}

func (w *work) is(f flag) bool { return w.flags&f != 0 }

// set sets or clears a flag.
func (w *work) set(f flag, on bool) {
	w.flags &^= f
	if on {
		w.flags |= f
	}
}

// wants is the queue that a shadow belongs to; idle when there is nothing to do.
func (w *work) wants() class {
	switch {
	case w.needGet || w.is(unknown):
		return command
	case w.is(dirty):
		return changed
	case w.is(doubt):
		return verify
	default:
		return idle
	}
}

// due is when a wait of the shadow ends, or when it may sleep; zero: it waits for
// nothing that time brings. What only sleeps does so with others, at full seconds.
func (w *work) due(now time.Time) (due time.Time) {
	due = w.wake
	switch {
	case w.request != nil:
		if over := w.request.deadline.Add(time.Millisecond); due.IsZero() || over.Before(due) {
			due = over
		}
	case due.IsZero() && w.class == idle && now.Before(w.pushed.Add(w.rule.interval)):
		due = w.pushed.Add(w.rule.interval + time.Second).Truncate(time.Second)
	}
	return due
}

// quiet tells whether nothing is lost when all but rest is forgotten.
func (w *work) quiet(now time.Time) bool {
	return w.underway == 0 && w.request == nil && !w.needGet && len(w.early) == 0 && w.wake.IsZero() && w.failures == 0 && w.conflicts == 0 &&
		w.state == "" && w.lastError == "" && w.unsent == "" && !w.overtaken && !now.Before(w.pushed.Add(w.rule.interval))
}
