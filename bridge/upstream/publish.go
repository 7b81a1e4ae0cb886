package upstream

import (
	"context"
	"fmt"
	"sync"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
)

// Message is one to send.
type Message struct {
	Topic   string
	Payload []byte
	QoS     byte // 0 or 1
	Retain  bool
}

// send is a message on its way.
type send struct {
	Message
	handed chan struct{} // closed when paho has it, and token is set
	token  mqtt.Token
	done   func(error)
}

// Session is the life of one connection, for who must not mix up two of them.
type Session struct{ epoch *epoch }

// Session is the connection that is up; nil when none is.
func (c *Client) Session() *Session {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.epoch == nil {
		return nil
	}
	return &Session{c.epoch}
}

// Lost is closed when the connection is gone.
func (s *Session) Lost() <-chan struct{} { return s.epoch.lost }

// Send sends a message on this connection; messages leave in the order of the
// calls of one goroutine. It waits while maxUnacked others wait for their
// PUBACK, and for the pace of the connection. Done is called once, from any
// goroutine: with nil when the broker acknowledged the message, or with QoS 0
// when it was written; any error says that it may or may not have arrived.
func (s *Session) Send(ctx context.Context, m Message, done func(error)) {
	s.epoch.send(ctx, m, done)
}

// send waits for a slot and hands the message over. The slot is the message's
// and not the caller's, who may give up waiting: until the PUBACK it is in
// flight.
func (e *epoch) send(ctx context.Context, m Message, done func(error)) {
	select {
	case e.window <- struct{}{}:
	case <-e.lost:
		done(ErrDown)
		return
	case <-ctx.Done():
		done(ctx.Err())
		return
	}
	if err := e.pace.wait(ctx, e.lost, len(m.Topic)+len(m.Payload)); err != nil {
		<-e.window
		done(err)
		return
	}
	if !e.sends.put(&send{Message: m, handed: make(chan struct{}), done: done}) {
		<-e.window
		done(ErrDown)
	}
}

// queue hands messages to sendLoop in order, several at a time: a goroutine
// that has to be woken for each costs more than the message. It holds no more
// than the window.
type queue struct {
	mu     sync.Mutex
	all    []*send
	closed bool
	filled chan struct{} // capacity 1
}

func newQueue() *queue { return &queue{filled: make(chan struct{}, 1)} }

// put is false when the queue was closed.
func (q *queue) put(s *send) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return false
	}
	q.all = append(q.all, s)
	select {
	case q.filled <- struct{}{}:
	default:
	}
	return true
}

// take empties the queue.
func (q *queue) take(closed bool) []*send {
	q.mu.Lock()
	defer q.mu.Unlock()
	all := q.all
	q.all, q.closed = nil, closed
	return all
}

// publish is send for who waits.
func (e *epoch) publish(ctx context.Context, m Message) error {
	outcome := make(chan error, 1)
	e.send(ctx, m, func(err error) { outcome <- err })
	select {
	case err := <-outcome:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// sendLoop gives messages to paho, in order. Paho may hold it for writeTimeout
// on a link that stalls or was just lost, which its callers need not wait for.
func (e *epoch) sendLoop() {
	defer close(e.sent)
	for {
		select {
		case <-e.sends.filled:
			for _, s := range e.sends.take(false) {
				e.sent <- s // there is room for the window
				if e.over() {
					continue // it stays unhanded
				}
				s.token = e.client.Publish(s.Topic, s.QoS, s.Retain, s.Payload)
				close(s.handed)
			}
		case <-e.lost:
			for _, s := range e.sends.take(true) {
				e.sent <- s
			}
			return
		}
	}
}

// over tells whether the connection is lost.
func (e *epoch) over() bool {
	select {
	case <-e.lost:
		return true
	default:
		return false
	}
}

// outcomeLoop tells what became of messages, in the order in which they were
// sent, in which brokers acknowledge too [MQTT-4.6.0-2].
func (e *epoch) outcomeLoop() {
	timer := time.NewTimer(pubackTimeout)
	defer timer.Stop()
	for s := range e.sent {
		timer.Reset(pubackTimeout)
		err := e.acknowledged(s, timer.C)
		<-e.window
		s.done(err)
	}
}

// acknowledged waits for a PUBACK. The token is of this epoch's client, where
// nothing but a PUBACK completes it without an error.
func (e *epoch) acknowledged(s *send, timeout <-chan time.Time) error {
	select {
	case <-s.handed:
	case <-e.lost:
		return ErrDown
	}
	select {
	case <-s.token.Done():
	case <-e.lost:
		select {
		case <-s.token.Done(): // before the loss, or by it
		default:
			return ErrDown
		}
	case <-timeout:
		e.end(fmt.Errorf("no PUBACK in %v", pubackTimeout))
		return ErrDown
	}
	if err := s.token.Error(); err != nil {
		e.end(err)
		return ErrDown
	}
	e.traffic.messagesOut.Add(1)
	return nil
}
