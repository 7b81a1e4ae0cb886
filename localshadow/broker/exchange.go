package broker

import (
	"maps"
	"slices"
	"sync"
)

// maxExchanges bounds the QoS 2 messages of one client that wait for its
// PUBREL. A client of MQTT 5 is told a smaller number.
const maxExchanges = 1024

// exchanges are the packet ids of QoS 2 messages from a client, from PUBLISH to
// PUBREL [MQTT-4.3.3-2]. They belong to the session: a connection that resumes
// it takes them over. mochi keeps them among the ids of its own deliveries,
// where equal ids destroy each other.
type exchanges struct {
	mu  sync.Mutex
	ids map[uint16]*exchange
}

// exchange is one message that was accepted.
type exchange struct {
	c        *conn // where the PUBREC goes: the connection that asked last
	received bool  // the message is ours, PUBREC may be sent
}

func newExchanges() *exchanges { return &exchanges{ids: map[uint16]*exchange{}} }

func (e *exchanges) len() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.ids)
}

// begin notes a PUBLISH. One that is known is a repetition: it is not taken
// again, and received tells whether it is acknowledged again or still under way.
func (e *exchanges) begin(id uint16, c *conn) (known, received bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if x, ok := e.ids[id]; ok {
		x.c = c
		return true, x.received
	}
	e.ids[id] = &exchange{c: c}
	return false, false
}

// receive notes that a message is ours and returns who is told.
func (e *exchanges) receive(id uint16) *conn {
	e.mu.Lock()
	defer e.mu.Unlock()
	x, ok := e.ids[id]
	if !ok {
		return nil
	}
	x.received = true
	return x.c
}

// end notes a PUBREL and tells whether its message is known.
func (e *exchanges) end(id uint16) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	_, ok := e.ids[id]
	delete(e.ids, id)
	return ok
}

// all are the ids that are known.
func (e *exchanges) all() []uint16 {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Collect(maps.Keys(e.ids))
}
