package broker

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// maxSessions bounds the sessions that last, connected or not. When there are
// more, the one that is absent for longest and has no message waiting ends.
const maxSessions = 2048

var errSessions = errors.New("too many sessions that last; all of them have messages waiting")

// sessions are all sessions, by client id.
type sessions struct {
	mu    sync.Mutex
	byID  map[string]*session
	order atomic.Int64 // of ends of connections
}

// open gives a connection its session: the one of its client id, or a new one.
// It returns the will of a session that ended thereby, and whether the store
// must know of the session before the client does.
func (b *Broker) open(cl *mqtt.Client, c *conn, pk packets.Packet, who Principal) (due *will, changed bool, err error) {
	lasts, lifetime := lasting(cl, pk)
	l := &link{cl: cl, c: c, version: cl.Properties.ProtocolVersion, window: maxWindow}
	if p := pk.Properties; l.version == 5 {
		l.largest, l.aliasing = int(p.MaximumPacketSize), min(maxAliases, int(p.TopicAliasMaximum))
		if p.ReceiveMaximum > 0 {
			l.window = min(l.window, int(p.ReceiveMaximum))
		}
	}
	ss := &b.sessions
	ss.mu.Lock()
	defer ss.mu.Unlock()
	s := ss.byID[cl.ID]
	foreign := s != nil && s.owner != who.Name() // what waits in it is not for who
	if foreign {
		b.log.Info("session ended: its client id is another's now", "client", cl.ID, "of", s.owner, "now", who.Name())
	}
	if s != nil && (pk.Connect.Clean || !s.lasts || foreign) { // [MQTT-3.1.2-4], [MQTT-3.1.2-6]
		due = ss.remove(s)
		s = nil
	}
	if c.present = s != nil; !c.present {
		if lasts {
			if err := ss.makeRoom(); err != nil {
				return due, false, err
			}
		}
		s = newSession(b, cl.ID)
		ss.byID[cl.ID] = s
	}
	c.session, c.link = s, l
	return due, s.attach(l, who, willOf(cl.ID, pk.Connect, c.emptyWill), lasts, lifetime), nil
}

// lasting tells whether a session outlives its connection, and for how long.
func lasting(cl *mqtt.Client, pk packets.Packet) (lasts bool, d time.Duration) {
	if cl.Properties.ProtocolVersion < 5 {
		return !pk.Connect.Clean, -1
	}
	return expiry(pk.Properties.SessionExpiryInterval)
}

// makeRoom needs mu.
func (ss *sessions) makeRoom() error {
	n := 0
	var oldest *session
	var longest int64
	for _, s := range ss.byID {
		s.mu.Lock()
		if s.lasts {
			n++
			if s.link == nil && len(s.byID) == 0 && (oldest == nil || s.absent < longest) {
				oldest, longest = s, s.absent
			}
		}
		s.mu.Unlock()
	}
	switch {
	case n < maxSessions:
		return nil
	case oldest == nil:
		return errSessions
	}
	oldest.b.stats.evicted.Add(1)
	oldest.b.log.Warn("session ended to make room for another", "client", oldest.id)
	ss.remove(oldest) // it has no will: that was sent
	return nil
}

// remove ends a session. It needs mu.
func (ss *sessions) remove(s *session) (due *will) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ss.byID[s.id] == s {
		delete(ss.byID, s.id)
	}
	return s.close()
}

// expire ends a session whose time without a connection is over [MQTT-3.1.2-23].
func (ss *sessions) expire(s *session) {
	ss.mu.Lock()
	var due *will
	if !s.online.Load() {
		due = ss.remove(s)
	}
	ss.mu.Unlock()
	due.send(s.b)
}

// holder is who is connected with a client id; empty: nobody is.
func (ss *sessions) holder(id string) string {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	if s := ss.byID[id]; s != nil && s.online.Load() {
		return s.owner
	}
	return ""
}

// takeOver ends the connection that a client id has [MQTT-3.1.4-3].
func (b *Broker) takeOver(id string) {
	if old, ok := b.server.Clients.Get(id); ok {
		b.end(old, packets.ErrSessionTakenOver)
		b.leave(old)
	}
}

// leave is the end of a connection for its session. It may come twice: from the
// connection that takes over and from its own.
func (b *Broker) leave(cl *mqtt.Client) {
	c := connOf(cl)
	if now, ok := b.server.Clients.Get(cl.ID); ok && now == cl {
		b.server.Clients.Delete(cl.ID)
	}
	ended, due := c.session.detach(cl, c.goodbye.Load())
	if ended {
		b.sessions.mu.Lock()
		if b.sessions.byID[cl.ID] == c.session {
			delete(b.sessions.byID, cl.ID)
		}
		b.sessions.mu.Unlock()
	}
	due.send(b)
}

// part is the end of a connection whose goroutine ends, however that came.
func (b *Broker) part(c *conn) {
	defer c.held.release()
	if c.link == nil { // CONNECT was not accepted
		return
	}
	cl := c.link.cl
	cl.Stop(nil)
	c.held.take(b.turns.of(cl.ID))
	b.leave(cl)
	b.depart(cl, c)
}

// endAll sends the wills that are delayed, when the broker ends.
func (ss *sessions) endAll() {
	ss.mu.Lock()
	all := make([]*session, 0, len(ss.byID))
	for _, s := range ss.byID {
		all = append(all, s)
	}
	ss.mu.Unlock()
	for _, s := range all {
		s.mu.Lock()
		if s.timer != nil {
			s.timer.Stop()
		}
		w := s.will
		s.will.cancel()
		s.will = nil
		s.mu.Unlock()
		w.send(s.b)
	}
}
