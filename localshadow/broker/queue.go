package broker

import (
	"time"

	"github.com/mochi-mqtt/server/v2/packets"
)

// Bounds of what waits for one client. What exceeds them is not taken, and is
// counted. Retained messages, which come all at once, have places of their own.
const (
	maxWaiting      = 1000
	maxWaitingBytes = 16 << 20
	maxWindow       = 256 // sent and not acknowledged; MQTT 5 may say less
)

// queue is what waits for a client at QoS 1 and 2, in its order [MQTT-4.6.0-6]:
// what was sent and is not acknowledged, then what was not sent on this
// connection.
type queue struct {
	list   []*delivery // those that are done are taken out at the front
	next   int         // the first that was not sent on this connection
	byID   map[uint16]*delivery
	lastID uint16
	quota  int // messages that may be sent before one is acknowledged
	bytes  int
}

// delivery is one message on its way to one client.
type delivery struct {
	m        *message
	qos      byte
	retain   bool
	released bool // PUBREC came, PUBREL is what waits
	again    bool // was sent before
	counted  bool // in quota
	storing  bool // may not be sent before it is in the store
	done     bool
	id       uint16
	ids      []int
	seq      uint64   // in the store; 0: it is not there
	receipt  *receipt // held until the message is acknowledged or stored
}

// deliver hands a message to the session. It waits for nobody.
func (s *session) deliver(m *message, qos byte, retain bool, ids []int, r *receipt) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended || s.principal != nil && !mayReceive(s.principal, m.topic) {
		return
	}
	if qos == 0 {
		if l := s.link; l != nil && l.ready && !l.c.takes(m) {
			s.b.stats.dropped.Add(1)
		} else if l != nil && l.ready {
			l.send(publication{m: m, retain: retain, ids: ids})
		}
		return
	}
	places := maxWaiting
	if retain {
		places += maxRetained
	}
	if len(s.byID) >= places || s.bytes+m.size() > maxWaitingBytes || !s.b.budget.take(m) {
		s.b.stats.dropped.Add(1)
		return
	}
	d := &delivery{m: m, qos: qos, retain: retain, ids: ids}
	s.add(d)
	if s.lasts {
		s.b.keeper.hold(s, d, r)
	}
	s.pump()
}

// add puts a delivery at the end. One without a packet id gets the next.
func (q *queue) add(d *delivery) {
	if q.byID == nil {
		q.byID = map[uint16]*delivery{}
	}
	for d.id == 0 {
		q.lastID++
		if _, taken := q.byID[q.lastID]; !taken {
			d.id = q.lastID // 0 is none: once more
		}
	}
	q.byID[d.id] = d
	q.list = append(q.list, d)
	q.bytes += d.m.size()
}

// begin starts anew, on another connection.
func (q *queue) begin(window int) {
	q.next, q.quota = 0, window
	for _, d := range q.list {
		d.counted = false
	}
}

// pump sends what may be sent. What remains follows an acknowledgement, the
// client's taking from its buffer, or the store.
func (s *session) pump() {
	l := s.link
	if l == nil || !l.ready {
		return
	}
	for ; s.next < len(s.list); s.next++ {
		d := s.list[s.next]
		switch {
		case d.done:
		case d.storing || !d.released && s.quota == 0 || !l.c.hasRoom():
			return
		case d.released:
			l.c.acknowledge(packets.Pubrel, d.id)
		case d.m.expired(time.Now()): // [MQTT-3.3.2-5]
			s.end(d)
		case !l.send(publication{m: d.m, qos: d.qos, retain: d.retain, again: d.again, id: d.id, ids: d.ids}):
			s.end(d) // as if it were sent [MQTT-3.1.2-25]
		default:
			s.quota--
			d.counted, d.again = true, true
		}
	}
	s.trim()
}

// end is the end of a delivery, however it came.
func (s *session) end(d *delivery) {
	if d.done {
		return
	}
	d.done = true
	delete(s.byID, d.id)
	s.bytes -= d.m.size()
	if d.counted {
		s.quota++
	}
	s.b.budget.give(d.m)
	s.b.keeper.drop(s, d)
}

// trim takes what is done out at the front.
func (q *queue) trim() {
	n := 0
	for n < len(q.list) && q.list[n].done {
		q.list[n] = nil
		n++
	}
	if q.list, q.next = q.list[n:], max(0, q.next-n); len(q.list) == 0 {
		q.list = nil
	}
}

// acknowledged notes a PUBACK, PUBREC or PUBCOMP of the client, and tells
// whether it belongs to a message.
func (s *session) acknowledged(kind byte, id uint16, refused bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.byID[id]
	if d == nil || !d.again || (kind == packets.Puback) != (d.qos == 1) || kind == packets.Pubcomp && !d.released {
		return false
	}
	if kind != packets.Pubrec || refused { // [MQTT-4.3.3-4]
		s.end(d)
		s.trim()
		s.pump()
		return true
	}
	again := d.released
	d.released = true
	if d.seq != 0 && !again {
		s.b.keeper.release(s, d) // PUBREL follows
	} else if s.link != nil {
		s.link.c.acknowledge(packets.Pubrel, id)
	}
	return true
}

// send writes a PUBLISH; false: it is larger than the client wants
// [MQTT-3.1.2-24].
func (l *link) send(p publication) bool {
	p.version = l.version
	if !p.m.expires.IsZero() {
		p.now = time.Now()
	}
	l.abbreviate(&p)
	if l.largest > 0 {
		if n, _ := p.length(); n > l.largest {
			l.unknow(&p)
			return false
		}
	}
	l.c.publish(&p)
	return true
}
