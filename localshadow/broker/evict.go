package broker

import "github.com/mochi-mqtt/server/v2/packets"

// Evict disconnects a client on behalf of somebody else (SHADOW 19), and says
// whether it was connected. With clean its session ends, with noWill its last
// will is not sent.
func (b *Broker) Evict(id string, clean, noWill bool) bool {
	cl, ok := b.server.Clients.Get(id)
	if !ok || cl.Closed() {
		return false
	}
	c := connOf(cl)
	c.because(evicted)
	if clean {
		c.session.expire(0)
	}
	if noWill {
		c.session.forgo()
	}
	b.end(cl, packets.ErrAdministrativeAction)
	return true
}

// forgo takes the last will back.
func (s *session) forgo() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.will.cancel()
	s.will = nil
}
