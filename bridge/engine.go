package bridge

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"edgeshadow/localshadow"
	"edgeshadow/localshadow/shadow"
)

// Cloud is the upstream connection.
type Cloud interface {
	// Publish sends a message with QoS 1. Nil means acknowledged on the
	// connection it was sent on; any error that it may or may not have arrived.
	Publish(ctx context.Context, topic string, payload []byte) error
}

// cloudLimit is the size of a document that the cloud takes (SHADOW L1).
const cloudLimit = 8192

// Filters are the subscriptions that the reconciler needs: the answers to
// requests and the changes of others, classic and named, for every thing.
func Filters() []string {
	var out []string
	for _, prefix := range []string{"$aws/things/+/shadow/", "$aws/things/+/shadow/name/+/"} {
		for _, op := range []string{"update", "get", "delete"} {
			out = append(out, prefix+op+"/accepted", prefix+op+"/rejected")
		}
	}
	return out
}

// Reconciler keeps the local shadows and the cloud's equal. Up, Down and
// Message are the upstream connection's, Changed the shadow service's; they may
// be called at any time, from any goroutine.
type Reconciler struct {
	store   *localshadow.Store
	service *localshadow.Service
	cloud   Cloud
	meter   Meter // nil: bytes are not counted
	log     *slog.Logger
	tokens  string        // prefix of client tokens: gateway and boot
	random  *rand.Rand    // of the engine
	nudge   chan struct{} // capacity 1: there is something to look at
	ended   chan struct{} // closed when Run has returned

	arrivals  inbox
	window    window
	stamping  atomic.Bool // some shadow's newest write wins
	changesMu sync.Mutex
	changes   map[shadow.ID]*change // locally since the last turn
	own       map[shadow.ID]int64   // local versions that are ours and not a client's

	mu          sync.Mutex // held for a turn; guards all below
	ctx         context.Context
	book        book
	queues      queues
	pace        pace
	budget      ledger
	clock       clock
	up, virgin  bool      // virgin: there was no session yet
	firsts      int       // that differed when the session began and were not looked at yet
	down        time.Time // since when; of the last time
	quiet       time.Time // nothing before it: the jitter after an outage
	steady      time.Time // no comparisons before it
	comparison  time.Time // when the next one is due
	next        int       // place in the book's ring
	sequence    int64
	outstanding int
	ahead       int // requests that are made ready before they have a place
	turns       int
	batches     []*batch // of steps that may not be durable yet, in their order
	stats       Stats
	turned      chan struct{}        // closed at the end of a turn, for those that wait for one
	verified    map[string]time.Time // by thing; when a comparison was last asked for
}

// Open makes a reconciler for the shadows that cfg takes in, with what the store
// holds of them. The connection is named later, by Connect. A nil log discards.
func Open(cfg Config, store *localshadow.Store, service *localshadow.Service, log *slog.Logger) (*Reconciler, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	now := time.Now()
	r := &Reconciler{
		store: store, service: service, log: log, virgin: true,
		tokens:   fmt.Sprintf("%.8s.%d.", store.Gateway(), store.Boot()),
		random:   rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())),
		nudge:    make(chan struct{}, 1),
		ended:    make(chan struct{}),
		arrivals: newInbox(),
		changes:  map[shadow.ID]*change{}, own: map[shadow.ID]int64{},
		ctx: context.Background(), book: newBook(cfg, now), pace: newPace(),
		turned: make(chan struct{}), verified: map[string]time.Time{},
	}
	r.window = window{log: log, tokens: []byte(r.tokens), expected: map[string]bool{}, busy: map[string]bool{}}
	r.stamping.Store(cfg.stamps())
	var err error
	if r.clock, err = openClock(store, now); err != nil {
		return nil, fmt.Errorf("read the cloud's clock: %w", err)
	}
	if r.budget, err = openLedger(cfg.Budget, store, now); err != nil {
		return nil, fmt.Errorf("read the budget: %w", err)
	}
	if err := r.scan(now); err != nil {
		return nil, fmt.Errorf("read the sync records: %w", err)
	}
	return r, nil
}

// scan takes in what the store holds. Documents are not read: the record tells
// at which local version both sides were equal.
func (r *Reconciler) scan(now time.Time) error {
	var things []string
	err := r.service.Records(func(id shadow.ID, data []byte, version int64, _ bool) error {
		if !r.book.known[id.Thing] {
			r.book.known[id.Thing] = true
			things = append(things, id.Thing)
		}
		head, err := decodeHead(data)
		flags := dirty
		switch {
		case err != nil || !head.Known:
			flags |= unknown
		case head.Flight == nil && head.Settled == version:
			flags = 0
		}
		if r.book.add(id, flags) && flags != 0 {
			r.book.poke(id, func(rest *rest) { rest.since = r.book.seconds(now) })
		}
		return nil
	})
	for _, t := range things {
		r.ask(t)
	}
	return err
}

// Connect names the connection to send on, before Run.
func (r *Reconciler) Connect(c Cloud) { r.cloud = c }

// Meter names what counts the bytes of the connection, before Run.
func (r *Reconciler) Meter(m Meter) { r.meter = m }

func (r *Reconciler) poke() {
	select {
	case r.nudge <- struct{}{}:
	default:
	}
}

// Run reconciles until ctx ends.
func (r *Reconciler) Run(ctx context.Context) error {
	defer close(r.ended)
	r.mu.Lock()
	r.ctx = ctx
	r.mu.Unlock()
	defer r.stop()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-r.nudge:
		case <-timer.C:
		}
		timer.Stop()
		if next := r.turn(time.Now()); !next.IsZero() {
			timer.Reset(max(time.Until(next), time.Millisecond))
		}
	}
}

// stop waits for what is on its way.
func (r *Reconciler) stop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.turns += maxTurns
	r.catchUp(time.Now())
	r.window.wait.Wait()
}

// enqueue puts a shadow at the tail of a queue, or moves it to a better one.
func (r *Reconciler) enqueue(id shadow.ID, c class) {
	r.book.poke(id, func(rest *rest) {
		if rest.class < c {
			rest.class = c
			r.queues.push(c, id)
		}
	})
}

// turn does what is due and returns when the next turn is due; zero for never.
func (r *Reconciler) turn(now time.Time) time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.turns++
	r.catchUp(now)
	r.takeArrivals(now)
	r.takeChanges(now)
	r.takeTimers(now)
	r.compare(now)
	r.sendAll(now)
	r.book.settle(now)
	r.budget.turn(r, now)
	r.clock.save(r.ctx)
	close(r.turned)
	r.turned = make(chan struct{})
	return r.due(now)
}

// takeTimers ends waits and requests whose time is over.
func (r *Reconciler) takeTimers(now time.Time) {
	if r.book.wake.IsZero() || now.Before(r.book.wake) {
		return
	}
	for _, w := range r.book.everyone() {
		if w.request != nil && now.After(w.request.deadline) {
			w.lastError = fmt.Sprintf("no answer to %s in %v", w.request.kind, answerTimeout)
			r.log.Warn("no answer from the cloud", "thing", w.id.Thing, "shadow", w.id.Name, "request", w.request.kind)
			r.finish(w)
			w.needGet = true
			r.hold(w, now)
		}
		if !w.wake.IsZero() && !now.Before(w.wake) {
			w.wake, w.paused = time.Time{}, false
			if w.gap {
				w.gap = false
				w.needGet = w.needGet || len(w.early) > 0
			}
			r.enqueue(w.id, w.wants())
		}
	}
}

// compare puts the next shadow in line whose comparison is due: each once in a
// day, spread over it.
func (r *Reconciler) compare(now time.Time) {
	n := len(r.book.ring)
	if n == 0 || !r.up || r.budget.scarce() {
		return
	}
	if r.comparison.IsZero() {
		r.comparison = now.Add(r.interval(n))
	}
	for ; !now.Before(r.comparison); r.comparison = r.comparison.Add(r.interval(n)) {
		id := r.book.ring[r.next%n]
		r.next = (r.next + 1) % n
		if ok := r.book.time(r.book.peek(id).ok); ok.IsZero() || now.Sub(ok) > provenFor {
			r.book.poke(id, func(rest *rest) { rest.flags |= doubt })
			r.enqueue(id, verify)
		}
		if now.Sub(r.comparison) > comparisonsEvery { // the link was away for long, and all were compared since
			r.comparison = now
		}
	}
}

// interval is the time between two comparisons among n shadows.
func (r *Reconciler) interval(n int) time.Duration {
	mean := comparisonsEvery / time.Duration(n)
	return mean/2 + time.Duration(r.random.Int64N(int64(mean)+1))
}

// due is when the earliest wait ends.
func (r *Reconciler) due(now time.Time) (next time.Time) {
	earlier := func(t time.Time) {
		if !t.IsZero() && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}
	earlier(r.book.wake)
	if !r.up {
		return next
	}
	if !r.budget.scarce() {
		earlier(r.comparison)
	}
	if r.queues.empty() || r.outstanding >= r.places() {
		return next
	}
	if now.Before(r.quiet) {
		earlier(r.quiet)
		return next
	}
	if wait := r.pace.wait(now); wait > 0 {
		earlier(now.Add(wait))
	} else if now.Before(r.steady) {
		earlier(r.steady) // comparisons wait
	}
	return next
}

// places are how many requests may be on their way, or ready.
func (r *Reconciler) places() int { return maxOutstanding + r.ahead }

func (r *Reconciler) newToken() string {
	r.sequence++
	return fmt.Sprintf("%s%d", r.tokens, r.sequence)
}

// finish ends the outstanding request of a shadow.
func (r *Reconciler) finish(w *work) {
	if w.request != nil {
		r.window.end(w.request.token)
		w.request = nil
		r.outstanding--
	}
}

// hold lets a shadow wait longer with each failure in a row, at random below a
// limit that doubles.
func (r *Reconciler) hold(w *work, now time.Time) {
	limit := min(backoffMin<<min(w.failures, 16), backoffMax)
	w.failures++
	w.paused = false
	w.wake = now.Add(limit/2 + time.Duration(r.random.Int64N(int64(limit/2))))
}
