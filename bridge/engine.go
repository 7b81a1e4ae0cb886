package bridge

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"edgeshadow/localshadow"
	"edgeshadow/localshadow/shadow"
)

// Cloud is the upstream connection.
type Cloud interface {
	// Publish sends a message with QoS 1. Nil means acknowledged on the
	// connection it was sent on; any error that it may or may not have arrived.
	Publish(ctx context.Context, topic string, payload []byte) error
}

// Pacing of a connection (SHADOW 27).
const (
	maxOutstanding = 8  // AWS answers 429 above 10
	requestRate    = 20 // per second, and as a burst
	cloudLimit     = 8192
)

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
	cfg     Config
	service *localshadow.Service
	cloud   Cloud
	log     *slog.Logger
	tokens  string // prefix of client tokens: gateway and boot
	limiter *rate.Limiter
	nudge   chan struct{} // capacity 1: there is something to look at

	pendingMu sync.Mutex
	pending   map[shadow.ID]bool // changed locally since the last turn

	mu          sync.Mutex // held for a turn; guards all below
	ctx         context.Context
	works       map[shadow.ID]*work
	known       map[string]bool // things
	up, first   bool
	sequence    int64
	queues      [command + 1][]*work
	timed       map[*work]bool // those that wait for a time or an answer
	outstanding int
	stats       Stats
	sends       sync.WaitGroup
}

// Open makes a reconciler for the shadows that cfg takes in, with what the store
// holds of them. The connection is named later, by Connect. A nil log discards.
func Open(cfg Config, store *localshadow.Store, service *localshadow.Service, log *slog.Logger) (*Reconciler, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	r := &Reconciler{
		cfg: cfg, service: service, log: log, first: true,
		tokens:  fmt.Sprintf("%.8s.%d.", store.Gateway(), store.Boot()),
		limiter: rate.NewLimiter(requestRate, requestRate),
		nudge:   make(chan struct{}, 1),
		pending: map[shadow.ID]bool{}, works: map[shadow.ID]*work{}, known: map[string]bool{},
		timed: map[*work]bool{}, ctx: context.Background(),
	}
	err := service.Records(func(id shadow.ID, _ []byte, _ bool) error {
		r.learn(id.Thing)
		r.work(id)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the sync records: %w", err)
	}
	return r, nil
}

// Connect names the connection to send on, before Run.
func (r *Reconciler) Connect(c Cloud) { r.cloud = c }

// Know names things of this gateway. Things with a local shadow are known anyway.
func (r *Reconciler) Know(things ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, t := range things {
		r.learn(t)
	}
	r.poke()
}

// learn takes a thing in, with the shadows that it may have in the cloud alone:
// the classic one, and those that the configuration names. The shadow protocol
// lists nothing, so any other shows when it changes.
func (r *Reconciler) learn(thing string) {
	if r.known[thing] {
		return
	}
	r.known[thing] = true
	for _, name := range r.cfg.names() {
		if w := r.work(shadow.ID{Thing: thing, Name: name}); w != nil {
			r.enqueue(w, command)
		}
	}
}

// Changed takes a local change in; the shadow is looked at in the next turn.
func (r *Reconciler) Changed(c localshadow.Change) {
	r.pendingMu.Lock()
	r.pending[c.ID] = true
	r.pendingMu.Unlock()
	r.poke()
}

func (r *Reconciler) poke() {
	select {
	case r.nudge <- struct{}{}:
	default:
	}
}

// Run reconciles until ctx ends.
func (r *Reconciler) Run(ctx context.Context) error {
	r.mu.Lock()
	r.ctx = ctx
	r.mu.Unlock()
	defer r.sends.Wait()
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

// work is the work of a shadow that is synced; nil for others.
func (r *Reconciler) work(id shadow.ID) *work {
	if w, ok := r.works[id]; ok {
		return w
	}
	if !r.known[id.Thing] || !r.cfg.syncs(id) {
		return nil
	}
	w := &work{id: id, rule: r.cfg.rule(id)}
	r.works[id] = w
	return w
}

// enqueue puts a shadow at the tail of a queue, or moves it to a better one.
func (r *Reconciler) enqueue(w *work, c class) {
	if w.class >= c {
		return
	}
	w.class = c
	r.queues[c] = append(r.queues[c], w)
}

// dequeue takes the next shadow: commands first, then changes, then comparisons.
func (r *Reconciler) dequeue() *work {
	for c := command; c > idle; c-- {
		for len(r.queues[c]) > 0 {
			w := r.queues[c][0]
			r.queues[c][0], r.queues[c] = nil, r.queues[c][1:]
			if w.class == c { // else it moved to a better queue
				w.class = idle
				return w
			}
		}
	}
	return nil
}

// turn does what is due and returns when the next turn is due; zero for never.
func (r *Reconciler) turn(now time.Time) (next time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.takeChanges()
	r.takeTimers(now)
	for r.up && r.outstanding < maxOutstanding {
		if r.limiter.TokensAt(now) < 1 {
			return now.Add(time.Second / requestRate)
		}
		w := r.dequeue()
		if w == nil {
			break
		}
		if w.request != nil || now.Before(w.wake) {
			continue // it comes back with the answer, or when the wait is over
		}
		if err := r.send(w, now); err != nil {
			r.failed(w, err, now)
		}
		r.timed[w] = true
	}
	return r.due()
}

func (r *Reconciler) takeChanges() {
	r.pendingMu.Lock()
	pending := r.pending
	r.pending = map[shadow.ID]bool{}
	r.pendingMu.Unlock()
	for id := range pending {
		r.learn(id.Thing)
		if w := r.work(id); w != nil {
			r.enqueue(w, changed)
		}
	}
}

// takeTimers ends waits and requests whose time is over.
func (r *Reconciler) takeTimers(now time.Time) {
	for w := range r.timed {
		if w.request != nil && now.After(w.request.deadline) {
			w.lastError = fmt.Sprintf("no answer to %s in %v", w.request.kind, answerTimeout)
			r.log.Warn("no answer from the cloud", "thing", w.id.Thing, "shadow", w.id.Name, "request", w.request.kind)
			r.finish(w)
			w.needGet = true
			w.hold(now)
		}
		if !w.wake.IsZero() && !now.Before(w.wake) {
			w.wake = time.Time{}
			if w.gap {
				w.gap = false
				w.needGet = w.needGet || len(w.early) > 0
			}
			r.enqueue(w, changed)
		}
		if w.request == nil && w.wake.IsZero() {
			delete(r.timed, w)
		}
	}
}

// due is when the earliest wait ends.
func (r *Reconciler) due() (next time.Time) {
	earlier := func(t time.Time) {
		if !t.IsZero() && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}
	for w := range r.timed {
		earlier(w.wake)
		if w.request != nil {
			earlier(w.request.deadline.Add(time.Millisecond))
		}
	}
	return next
}

// step runs fn as one transaction for a shadow, writes its record when it
// changed, and tells the conflicts that were decided.
func (r *Reconciler) step(w *work, fn func(s *step) error) error {
	var s *step
	err := r.service.Sync(r.ctx, w.id, func(tx *localshadow.SyncTx) error {
		data, err := tx.Record()
		if err != nil {
			return err
		}
		s = &step{tx: tx, w: w}
		if s.r, err = decodeRecord(data); err != nil {
			r.log.Warn("sync record set aside; the shadow is compared with the cloud", "thing", w.id.Thing, "shadow", w.id.Name, "err", err)
			s.r, s.changed = &record{}, true
		}
		if err := s.reload(); err != nil {
			return err
		}
		if err := fn(s); err != nil {
			return err
		}
		if err := s.journal(); err != nil {
			return err
		}
		if !s.changed {
			return nil
		}
		if data, err = s.r.encode(); err != nil {
			return err
		}
		return tx.SetRecord(data)
	})
	if err != nil {
		return err
	}
	for _, c := range s.conflicts {
		r.stats.Conflicts++
		r.log.Info("conflict decided", "thing", w.id.Thing, "shadow", w.id.Name, "path", c.Path,
			"winner", c.Winner.String(), "kept", text(c.Kept, c.KeptAbsent), "lost", text(c.Lost, c.LostAbsent), "rule", s.rule)
	}
	return nil
}

// failed is a step that the store refused: nothing of it holds, and the shadow
// waits.
func (r *Reconciler) failed(w *work, err error, now time.Time) {
	if errors.Is(err, context.Canceled) {
		return
	}
	w.lastError = err.Error()
	w.needGet = true
	w.hold(now)
	r.timed[w] = true
	r.log.Warn("sync step", "thing", w.id.Thing, "shadow", w.id.Name, "err", err)
}

// send decides the next message of a shadow and sends it.
func (r *Reconciler) send(w *work, now time.Time) error {
	var m message
	err := r.step(w, func(s *step) (err error) {
		m, err = s.decide(now, r.newToken, cloudLimit)
		return err
	})
	if err != nil || m.kind == "" {
		return err
	}
	if m.kind == "get" {
		w.highest, w.overtaken = 0, false
		r.stats.Gets++
	} else {
		w.pushed = now
		r.stats.Pushes++
	}
	r.limiter.AllowN(now, 1)
	w.request = &request{kind: m.kind, token: m.token, deadline: now.Add(answerTimeout)}
	r.outstanding++
	ctx := r.ctx
	r.sends.Go(func() {
		if err := r.cloud.Publish(ctx, w.id.Topic(m.kind), m.payload); err != nil {
			r.log.Debug("publish", "topic", w.id.Topic(m.kind), "err", err) // the loss of the link, or the missing answer, is acted upon
		}
	})
	return nil
}

func (r *Reconciler) newToken() string {
	r.sequence++
	return fmt.Sprintf("%s%d", r.tokens, r.sequence)
}

// finish ends the outstanding request of a shadow.
func (r *Reconciler) finish(w *work) {
	if w.request != nil {
		w.request = nil
		r.outstanding--
	}
}
