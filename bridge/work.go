package bridge

import (
	"time"

	"edgeshadow/localshadow/shadow"
)

// class is the order in which shadows are served.
type class int

const (
	idle    class = iota
	verify        // compare a clean shadow with the cloud
	changed       // something to push
	command       // something to learn: a gap, a lost answer, a shadow never seen
)

// work is what the engine remembers of one shadow while it runs. All of it can
// be lost: what must survive is in the record.
type work struct {
	id    shadow.ID
	rule  rule
	class class // the queue that it stands in; idle: none

	request *request // outstanding; at most one

	needGet  bool // the base can't be trusted until the document was got
	doubt    bool // the session was lost: compare, unless a push proves that the base holds
	absent   bool // in this session the cloud said that there is no such shadow
	verified bool // in this session the document was got, so that a delete may go

	early     map[int64]event // events beyond a gap, by number
	highest   int64           // number seen since the last get was sent
	overtaken bool            // an event came since the last get was sent
	wake      time.Time       // nothing before it: a gap's wait, a backoff, a pause between pushes
	gap       bool            // wake ends a gap's wait

	failures  int // in a row, for the backoff
	conflicts int // 409 in a row
	pushed    time.Time

	state      string // for people, beside what the record says
	dirtySince time.Time
	lastOK     time.Time
	lastError  string
}

// request is a message to the cloud that waits for its answer.
type request struct {
	kind     string // get, update, delete
	token    string
	deadline time.Time
}

// Pacing of one shadow.
const (
	answerTimeout = 10 * time.Second
	gapWait       = time.Second // events may be reordered; then the document is got
	pushInterval  = 500 * time.Millisecond
	maxEarly      = 32 // events buffered beyond a gap; more: get

	backoffMin     = time.Second
	backoffMax     = 5 * time.Minute
	forbiddenEvery = 15 * time.Minute

	conflictsBackoff = 3 // 409 in a row from which to wait
	conflictsPartial = 8 // from which reported goes without a version
)

// session forgets what was true of the link that was lost.
func (w *work) session() {
	w.request, w.absent, w.verified, w.overtaken = nil, false, false, false
	if len(w.early) > 0 {
		w.early, w.needGet = nil, true
	}
	if w.gap {
		w.gap, w.wake = false, time.Time{}
	}
}

// succeeded ends the backoff; only an accepted push ends a row of conflicts.
func (w *work) succeeded(now time.Time) {
	w.failures, w.lastError, w.state = 0, "", ""
	w.lastOK = now
}
