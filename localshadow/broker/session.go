package broker

import (
	"cmp"
	"slices"
	"sync"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// sessions remembers whose session a client id is, so that nobody takes over
// another's queued messages.
type sessions struct {
	mu    sync.Mutex
	owner map[string]string // principal by client id
}

// claim reports whether principal may have the session of a client id.
func (s *sessions) claim(clientID, principal string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if owner, ok := s.owner[clientID]; ok && owner != principal {
		return false
	}
	s.owner[clientID] = principal
	return true
}

func (s *sessions) release(clientID string) {
	s.mu.Lock()
	delete(s.owner, clientID)
	s.mu.Unlock()
}

// OnSessionEstablish puts the messages that wait in a session back into their
// order: mochi re-sends them sorted by their time in seconds, at random within
// one. Their Created becomes their place.
func (h *hook) OnSessionEstablish(cl *mqtt.Client, _ packets.Packet) {
	old, ok := h.b.server.Clients.Get(cl.ID)
	if !ok || old.State.Inflight.Len() == 0 {
		return
	}
	waiting := old.State.Inflight.GetAll(false)
	slices.SortFunc(waiting, func(a, b packets.Packet) int { return cmp.Compare(a.PacketID, b.PacketID) })
	for i, pk := range rotate(waiting) {
		pk.Created = int64(i)
		old.State.Inflight.Set(pk)
	}
}

// rotate begins a sorted ring of packet ids after its biggest hole: ids count
// up and wrap around.
func rotate(ring []packets.Packet) []packets.Packet {
	if len(ring) < 2 {
		return ring
	}
	start, widest := 0, int(ring[0].PacketID)+65535-int(ring[len(ring)-1].PacketID)
	for i := 1; i < len(ring); i++ {
		if hole := int(ring[i].PacketID) - int(ring[i-1].PacketID); hole > widest {
			start, widest = i, hole
		}
	}
	return slices.Concat(ring[start:], ring[:start])
}

// OnDisconnect forgets the owner of a session that ends with its connection.
func (h *hook) OnDisconnect(cl *mqtt.Client, _ error, expire bool) {
	if expire && !cl.IsTakenOver() {
		h.b.sessions.release(cl.ID)
	}
}

// OnClientExpired takes the subscriptions with the session: mochi leaves them.
func (h *hook) OnClientExpired(cl *mqtt.Client) {
	h.b.server.UnsubscribeClient(cl)
	h.b.sessions.release(cl.ID)
}
