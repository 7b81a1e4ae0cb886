package broker

import (
	"sync"
	"sync/atomic"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
)

// session is what a client id has of the broker: subscriptions, messages that
// wait (queue.go), a last will. One that lasts outlives its connections.
type session struct {
	id     string
	b      *Broker
	online atomic.Bool

	mu        sync.Mutex
	lasts     bool          // outlives its connection
	expiry    time.Duration // of one that lasts, without a connection; negative: never
	stored    bool          // the store has it
	owner     string        // the name of the principal that it belongs to
	principal Principal     // of the last connection; nil since a restart
	ended     bool
	link      *link // nil: nobody is connected
	absent    int64 // when the last connection ended, as a place in an order
	timer     *time.Timer
	subs      map[string]*subscription
	will      *will
	exchanges *exchanges
	queue
}

func newSession(b *Broker, id string) *session {
	return &session{id: id, b: b, subs: map[string]*subscription{}, exchanges: newExchanges()}
}

// link is the connection that a session has now.
type link struct {
	cl      *mqtt.Client
	c       *conn
	version byte
	window  int // Receive Maximum [MQTT-3.3.4-9]
	largest int // Maximum Packet Size; 0: any
	ready   bool

	aliasing int // Topic Alias Maximum
	aliases  map[string]uint16
}

// attach gives the session a connection. Nothing is sent on it before ready.
// It tells whether the store must know of it first.
func (s *session) attach(l *link, who Principal, w *will, lasts bool, expiry time.Duration) (changed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	changed = lasts && (!s.stored || s.expiry != expiry || s.owner != who.Name())
	s.link, s.principal, s.owner, s.lasts, s.expiry = l, who, who.Name(), lasts, expiry
	switch {
	case changed:
		s.b.keeper.keep(s)
	case !lasts && s.stored:
		s.b.keeper.forget(s)
	}
	s.online.Store(true)
	if s.timer != nil {
		s.timer.Stop()
		s.timer = nil
	}
	s.will.cancel() // [MQTT-3.1.3-9]
	s.will = w
	s.begin(l.window)
	for _, d := range s.list {
		if !d.done && !d.released && !mayReceive(who, d.m.topic) {
			s.end(d)
		}
	}
	s.trim()
	return changed
}

// lasting tells whether the session outlives its connection.
func (s *session) lasting() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lasts
}

// expire is how long the session is to last after this connection, in seconds.
// One that was to end with it can't be made to last.
func (s *session) expire(seconds uint32) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.lasts {
		return seconds == 0
	}
	s.lasts, s.expiry = expiry(seconds)
	if s.lasts {
		s.b.keeper.keep(s)
	}
	return true
}

// expiry reads a Session Expiry Interval of MQTT 5.
func expiry(seconds uint32) (lasts bool, d time.Duration) {
	if seconds == 1<<32-1 {
		return true, -1
	}
	return seconds > 0, time.Duration(seconds) * time.Second
}

// start lets the connection send, after its CONNACK.
func (s *session) start(l *link) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.link == l {
		l.ready = true
		s.pump()
	}
}

// wake sends what may be sent, for who does not hold mu.
func (s *session) wake() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pump()
}

// detach takes a connection away. It tells whether the session ended with it
// and the will that is due.
func (s *session) detach(cl *mqtt.Client, goodbye bool) (ended bool, due *will) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.link == nil || s.link.cl != cl {
		return false, nil // another has taken it over
	}
	s.link = nil
	s.online.Store(false)
	s.absent = s.b.sessions.order.Add(1)
	if goodbye { // [MQTT-3.1.2-10]
		s.will = nil
	}
	if !s.lasts {
		return true, s.close()
	}
	s.b.keeper.keepAll(s)
	if s.expiry >= 0 {
		s.timer = time.AfterFunc(s.expiry, func() { s.b.sessions.expire(s) })
	}
	if w := s.will; w != nil {
		if w.delay == 0 {
			s.will = nil
			return false, w
		}
		w.timer = time.AfterFunc(w.delay, func() { s.lastWill(w) })
	}
	return false, nil
}

// lastWill sends a will when its delay is over, if it is still there.
func (s *session) lastWill(w *will) {
	s.mu.Lock()
	due := s.will == w && s.link == nil
	if due {
		s.will = nil
	}
	s.mu.Unlock()
	if due {
		w.send(s.b)
	}
}

// close takes the session out of everything, and returns the will that was to
// come later [MQTT-3.1.3-9]. It needs mu; a will is sent without it, because
// the session may be among those that it reaches.
func (s *session) close() (due *will) {
	if s.ended {
		return nil
	}
	s.ended = true
	s.online.Store(false)
	if s.timer != nil {
		s.timer.Stop()
	}
	due, s.will = s.will, nil
	due.cancel()
	for _, sub := range s.subs {
		s.b.filters.remove(sub)
	}
	if s.stored {
		s.b.keeper.forget(s)
	}
	s.subs = nil
	for _, d := range s.list {
		s.end(d)
	}
	s.queue = queue{}
	return due
}
