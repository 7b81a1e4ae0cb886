package cloudtest

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"time"
)

// Handler is the client's side of a connection.
type Handler interface {
	Up(kept bool)
	Down(err error)
	Message(topic string, payload []byte, ack func())
}

// ErrDown is a publish on a link that is down.
var ErrDown = errors.New("cloudtest: link is down")

// Link is a client's connection. It is made down; Connect brings it up.
type Link struct {
	cloud   *Cloud
	handler Handler
	// The messages of a handler come one at a time, Up and Down among them.
	turn sync.Mutex

	mu       sync.Mutex
	wake     *sync.Cond
	up       bool
	epoch    int
	queue    []*message // not acknowledged; survives a cut when the session is kept
	session  bool
	requests map[string]int // by topic
	recent   []time.Time    // requests of the last second
	things   map[string][]time.Time
	waiting  int // requests without an answer
	most     int // of waiting
	knobs    Knobs
	quotas   Quotas
	broken   int // quotas
	closed   bool
	changed  chan struct{} // closed with each request
	pumped   sync.WaitGroup
}

type message struct {
	topic   string
	payload []byte
	due     time.Time
	sent    bool // in this session, and not acknowledged
}

// Dial makes the link of a handler to a cloud.
func Dial(c *Cloud, h Handler) *Link {
	l := &Link{cloud: c, handler: h, requests: map[string]int{}, things: map[string][]time.Time{}, changed: make(chan struct{})}
	l.wake = sync.NewCond(&l.mu)
	c.attach(l)
	l.pumped.Go(l.pump)
	return l
}

// Connect brings the link up. Kept: messages since the cut are replayed.
func (l *Link) Connect(kept bool) {
	l.turn.Lock()
	defer l.turn.Unlock()
	l.mu.Lock()
	if l.up || l.closed {
		l.mu.Unlock()
		return
	}
	l.epoch++
	if !kept || !l.session {
		kept, l.queue = false, nil
	}
	for _, m := range l.queue {
		m.sent = false
	}
	l.session, l.up = true, true
	l.waiting = 0
	l.mu.Unlock()
	l.handler.Up(kept)
	l.wake.Broadcast()
}

// Cut takes the link down.
func (l *Link) Cut() {
	l.mu.Lock()
	epoch := l.epoch
	l.mu.Unlock()
	l.lose(epoch)
}

// KillSession cuts the link and forgets what it was for: nothing is kept for
// the next connection.
func (l *Link) KillSession() {
	l.Cut()
	l.mu.Lock()
	l.session, l.queue = false, nil
	l.mu.Unlock()
}

// lose takes the link down unless it is another one by now.
func (l *Link) lose(epoch int) {
	l.mu.Lock()
	if l.epoch != epoch || !l.up {
		l.mu.Unlock()
		return
	}
	l.up = false
	l.epoch++
	l.mu.Unlock()
	l.turn.Lock()
	defer l.turn.Unlock()
	l.handler.Down(ErrDown)
}

// Close ends the link.
func (l *Link) Close() {
	l.Cut()
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.wake.Broadcast()
	l.pumped.Wait()
	l.cloud.detach(l)
}

// Up tells whether the link is up.
func (l *Link) Up() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.up
}

// Requests are how many of a kind (get, update, delete; "": of all) arrived or
// were dropped.
func (l *Link) Requests(kind string) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for topic, count := range l.requests {
		if kind == "" || strings.HasSuffix(topic, "/"+kind) {
			n += count
		}
	}
	return n
}

// MostWaiting is the highest number of requests that had no answer at a time.
func (l *Link) MostWaiting() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.most
}

// AwaitRequests waits until so many of a kind arrived.
func (l *Link) AwaitRequests(ctx context.Context, kind string, n int) error {
	for {
		l.mu.Lock()
		changed := l.changed
		l.mu.Unlock()
		if l.Requests(kind) >= n {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Publish is the client's request.
func (l *Link) Publish(_ context.Context, topic string, payload []byte) error {
	prefix, op, ok := operation(topic)
	if !ok {
		return errors.New("cloudtest: not a request: " + topic)
	}
	l.mu.Lock()
	if !l.up {
		l.mu.Unlock()
		return ErrDown
	}
	l.requests[topic]++
	close(l.changed)
	l.changed = make(chan struct{})
	l.waiting++
	l.most = max(l.most, l.waiting)
	epoch, verdict, before := l.epoch, l.judge(topic, time.Now()), l.knobs.Before
	l.mu.Unlock()
	if before != nil {
		before(topic)
	}
	switch {
	case verdict.drop:
	case verdict.cutBefore:
		l.lose(epoch)
		return ErrDown
	case verdict.code != 0:
		if verdict.applied {
			l.cloud.mu.Lock()
			_, _ = l.cloud.serve(prefix, op, payload)
			l.cloud.mu.Unlock()
		}
		l.refuse(topic, payload, verdict.code)
	case verdict.cutAfter:
		l.lose(epoch) // before the answer is on its way, or it may arrive
		l.cloud.request(prefix, op, payload)
		return ErrDown
	default:
		l.cloud.request(prefix, op, payload)
	}
	return nil
}

func (l *Link) refuse(topic string, payload []byte, code int) {
	var request map[string]any
	_ = json.Unmarshal(payload, &request)
	body, _ := json.Marshal(map[string]any{"code": code, "message": "cloudtest refuses", "clientToken": request["clientToken"]})
	l.send(topic+"/rejected", body)
}

// send sends a message to the client, or keeps it for its session.
func (l *Link) send(topic string, payload []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if strings.HasSuffix(topic, "ed") {
		l.waiting = max(l.waiting-1, 0)
	}
	if !l.session || asked(l.knobs.LoseAnswer, topic) {
		return
	}
	if !l.up && strings.Contains(topic, "/get/") {
		return
	}
	m := &message{topic: topic, payload: payload, due: time.Now()}
	if l.knobs.Delay != nil {
		m.due = m.due.Add(l.knobs.Delay(topic))
	}
	l.queue = append(l.queue, m)
	if n := len(l.queue); n > 1 && !l.queue[n-2].sent && asked(l.knobs.Reorder, topic) {
		l.queue[n-1], l.queue[n-2] = l.queue[n-2], l.queue[n-1]
	}
	if asked(l.knobs.Duplicate, topic) {
		again := *m
		l.queue = append(l.queue, &again)
	}
	l.wake.Broadcast()
}

// pump hands messages over when they are due.
func (l *Link) pump() {
	for {
		m, epoch, wait := l.take()
		switch {
		case wait > 0:
			time.Sleep(wait) // on its way
		case m == nil:
			return
		default:
			l.turn.Lock()
			l.mu.Lock()
			live := l.epoch == epoch
			l.mu.Unlock()
			if live {
				l.handler.Message(m.topic, m.payload, func() { l.acked(m, epoch) })
			}
			l.turn.Unlock()
		}
	}
}

// take is the next message that is due, or how long until one is; nil after Close.
func (l *Link) take() (m *message, epoch int, wait time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		if l.closed {
			return nil, 0, 0
		}
		if l.up {
			for _, m := range l.queue {
				if m.sent {
					continue
				}
				if wait := time.Until(m.due); wait > 0 {
					return nil, 0, wait // the later ones stay behind it
				}
				m.sent = true
				return m, l.epoch, 0
			}
		}
		l.wake.Wait()
	}
}

func (l *Link) acked(m *message, epoch int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.epoch != epoch {
		return // of another connection: it comes again
	}
	for i, other := range l.queue {
		if other == m {
			l.queue = append(l.queue[:i], l.queue[i+1:]...)
			return
		}
	}
}
