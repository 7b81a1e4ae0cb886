package cloudtest

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
)

// Handler is the client's side of a connection.
type Handler interface {
	Up(kept bool)
	Down(err error)
	Message(topic string, payload []byte, ack func())
}

// Knobs spoil what passes the link. The functions are asked for each message,
// under the link's lock, with its topic; nil: never.
type Knobs struct {
	DropRequest func(topic string) bool       // the request never arrives
	LoseAnswer  func(topic string) bool       // the message to the client never arrives
	Duplicate   func(topic string) bool       // it arrives twice
	Reorder     func(topic string) bool       // it arrives before the one in front of it
	CutAfter    func(topic string) bool       // the link is lost when the request was applied
	Reject      func(topic string) (code int) // the request is refused with a code, not applied
	RejectBadly func(topic string) (code int) // refused with a code, but applied
}

// ErrDown is a publish on a link that is down.
var ErrDown = errors.New("cloudtest: link is down")

// Link is a client's connection. It is made down; Connect brings it up.
type Link struct {
	cloud   *Cloud
	handler Handler

	mu       sync.Mutex
	wake     *sync.Cond
	up       bool
	epoch    int
	queue    []message // not yet handed over; survives a cut when the session is kept
	requests int
	waiting  int
	knobs    Knobs
	closed   bool
	session  bool
	done     chan struct{}
}

type message struct {
	topic   string
	payload []byte
}

// Dial makes the link of a handler to a cloud; one at a time per cloud.
func Dial(c *Cloud, h Handler) *Link {
	l := &Link{cloud: c, handler: h, done: make(chan struct{})}
	l.wake = sync.NewCond(&l.mu)
	c.mu.Lock()
	c.link = l
	c.mu.Unlock()
	go l.pump()
	return l
}

// Turn sets the knobs.
func (l *Link) Turn(k Knobs) {
	l.mu.Lock()
	l.knobs = k
	l.mu.Unlock()
}

// Connect brings the link up. Kept: messages since the cut are replayed.
func (l *Link) Connect(kept bool) {
	l.mu.Lock()
	if l.up {
		l.mu.Unlock()
		return
	}
	l.epoch++
	if !kept {
		l.queue = nil
	}
	l.session = true
	l.mu.Unlock()
	l.handler.Up(kept)
	l.mu.Lock()
	l.up = true
	l.wake.Broadcast()
	l.mu.Unlock()
}

// Cut takes the link down.
func (l *Link) Cut() {
	l.mu.Lock()
	l.lost()
}

// lose takes the link down unless it is another one by now.
func (l *Link) lose(epoch int) {
	l.mu.Lock()
	if l.epoch != epoch {
		l.mu.Unlock()
		return
	}
	l.lost()
}

// lost is called with the lock, which it gives back.
func (l *Link) lost() {
	was := l.up
	l.up = false
	l.epoch++
	l.waiting = 0
	l.mu.Unlock()
	if was {
		l.handler.Down(ErrDown)
	}
}

// Close ends the link.
func (l *Link) Close() {
	l.Cut()
	l.mu.Lock()
	l.closed = true
	l.wake.Broadcast()
	l.mu.Unlock()
	<-l.done
	l.cloud.mu.Lock()
	if l.cloud.link == l {
		l.cloud.link = nil
	}
	l.cloud.mu.Unlock()
}

// Requests are how many arrived or were dropped.
func (l *Link) Requests() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.requests
}

// Idle tells whether nothing is on its way to the client.
func (l *Link) Idle() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.queue) == 0
}

// Publish is the client's request; it is bridge.Cloud.
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
	l.requests++
	epoch := l.epoch
	k := l.knobs
	drop := asked(k.DropRequest, topic)
	cut := asked(k.CutAfter, topic)
	code, badly := number(k.Reject, topic), number(k.RejectBadly, topic)
	l.mu.Unlock()
	switch {
	case drop:
		return nil
	case code != 0:
		l.refuse(topic, payload, code)
		return nil
	case badly != 0:
		l.cloud.mu.Lock()
		_, _ = l.cloud.serve(prefix, op, payload)
		l.cloud.mu.Unlock()
		l.refuse(topic, payload, badly)
		return nil
	}
	l.cloud.request(prefix, op, payload)
	if cut {
		l.lose(epoch)
	}
	return nil
}

func (l *Link) refuse(topic string, payload []byte, code int) {
	var request map[string]any
	_ = json.Unmarshal(payload, &request)
	body, _ := json.Marshal(map[string]any{"code": code, "message": "cloudtest refuses", "clientToken": request["clientToken"]})
	l.enqueue(topic+"/rejected", body)
}

// enqueue sends a message to the client, or keeps it for its session.
func (l *Link) enqueue(topic string, payload []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.session || asked(l.knobs.LoseAnswer, topic) {
		return
	}
	if !l.up && strings.Contains(topic, "/get/") {
		return
	}
	m := message{topic, payload}
	l.queue = append(l.queue, m)
	if n := len(l.queue); n > 1 && asked(l.knobs.Reorder, topic) {
		l.queue[n-1], l.queue[n-2] = l.queue[n-2], l.queue[n-1]
	}
	if asked(l.knobs.Duplicate, topic) {
		l.queue = append(l.queue, m)
	}
	l.wake.Broadcast()
}

func (l *Link) pump() {
	defer close(l.done)
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		for !l.closed && (!l.up || len(l.queue) == 0) {
			l.wake.Wait()
		}
		if l.closed {
			return
		}
		m, epoch := l.queue[0], l.epoch
		acked := false
		l.mu.Unlock()
		l.handler.Message(m.topic, m.payload, func() { acked = true })
		l.mu.Lock()
		if acked && len(l.queue) > 0 && (l.epoch == epoch || l.session) && same(l.queue[0], m) {
			l.queue = l.queue[1:]
		} else if !acked && l.epoch == epoch && len(l.queue) > 0 {
			l.queue = append(l.queue[1:], m) // comes again later
		}
	}
}

func same(a, b message) bool { return a.topic == b.topic && string(a.payload) == string(b.payload) }

func asked(f func(string) bool, topic string) bool { return f != nil && f(topic) }

func number(f func(string) int, topic string) int {
	if f == nil {
		return 0
	}
	return f(topic)
}

// Up tells whether the link is up.
func (l *Link) Up() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.up
}
