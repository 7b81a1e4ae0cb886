package bridge

import (
	"sync"
	"time"

	"edgeshadow/localshadow"
	"edgeshadow/localshadow/shadow"
)

// maxArrivals are messages of the cloud that wait for a turn. Beyond it the
// connection waits, and TCP holds the rest back.
const maxArrivals = 256

// arrival is what the connection tells: a session that begins or ends, or a message.
type arrival struct {
	up, down, kept bool
	id             shadow.ID
	suffix         string
	payload        []byte
	ack            func()
}

// inbox keeps arrivals in their order.
type inbox struct {
	slots chan struct{}
	mu    sync.Mutex
	queue []arrival
}

func newInbox() inbox { return inbox{slots: make(chan struct{}, maxArrivals)} }

// put waits for room until ended is closed.
func (in *inbox) put(a arrival, ended <-chan struct{}) {
	select {
	case in.slots <- struct{}{}:
	case <-ended:
		return
	}
	in.mu.Lock()
	in.queue = append(in.queue, a)
	in.mu.Unlock()
}

func (in *inbox) take() []arrival {
	in.mu.Lock()
	out := in.queue
	in.queue = nil
	in.mu.Unlock()
	for range out {
		<-in.slots
	}
	return out
}

// Up begins a session. Kept: the cloud held our subscriptions, and replays what
// they missed; then a clean shadow needs no comparison. The first session of
// the process counts as a lost one.
func (r *Reconciler) Up(kept bool) {
	r.arrivals.put(arrival{up: true, kept: kept}, r.ended)
	r.poke()
}

// Down ends a session. What was outstanding is ambiguous now, which the record says.
func (r *Reconciler) Down(error) {
	r.arrivals.put(arrival{down: true}, r.ended)
	r.poke()
}

// Message takes one message of the cloud in. It is acknowledged when what
// follows from it is durable.
func (r *Reconciler) Message(topic string, payload []byte, ack func()) {
	id, suffix, ok := shadow.ParseTopic(topic)
	if !ok {
		ack()
		return
	}
	r.window.heard(payload)
	r.arrivals.put(arrival{id: id, suffix: suffix, payload: payload, ack: ack}, r.ended)
	r.poke()
}

// change is what local clients did to a shadow since the last turn.
type change struct {
	stamps map[string]time.Time // when each leaf was written; nil where nobody asks
}

// Changed takes a local change in; the shadow is looked at in the next turn.
func (r *Reconciler) Changed(c localshadow.Change) {
	r.changesMu.Lock()
	defer r.changesMu.Unlock()
	if version, mine := r.own[c.ID]; mine && (c.Doc == nil || c.Doc.Version >= version) {
		delete(r.own, c.ID)
		return
	}
	ch := r.changes[c.ID]
	if ch == nil {
		ch = &change{}
		r.changes[c.ID] = ch
	}
	if r.stamping.Load() {
		ch.stamp(c.Prev, c.Doc, time.Now())
	}
	r.poke()
}

// takeChanges looks at what local clients changed.
func (r *Reconciler) takeChanges(now time.Time) {
	r.changesMu.Lock()
	changes := r.changes
	r.changes = map[shadow.ID]*change{}
	r.changesMu.Unlock()
	var jobs []*job
	for _, id := range sorted(changes) {
		r.learn(id.Thing)
		if _, there := r.book.all[id]; !there && !r.book.add(id, unknown) {
			continue
		}
		r.book.poke(id, func(rest *rest) {
			if rest.flags&dirty == 0 {
				rest.flags |= dirty
				rest.since = r.book.seconds(now)
			}
		})
		r.enqueue(id, changed)
		if ch := changes[id]; len(ch.stamps) > 0 && r.book.cfg.rule(id).stamps() {
			j := &job{w: r.book.work(id), fn: func(s *step) error {
				s.stamp(ch.stamps)
				return nil
			}}
			j.done = func(now time.Time) {
				if j.err != nil {
					r.failed(j.w, j.err, now)
				}
			}
			jobs = append(jobs, j)
		}
	}
	r.submit(jobs)
}
