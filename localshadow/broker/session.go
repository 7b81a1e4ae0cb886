package broker

import (
	"cmp"
	"hash/maphash"
	"slices"
	"sync"
	"sync/atomic"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// turns let one connection at a time begin or end the session of a client id.
// mochi does both without a lock: two connections that come with the same id
// could both stay, and one that ends could take its successor's session along.
// Several ids share a lock.
type turns struct {
	seed  maphash.Seed
	locks [64]sync.Mutex
}

func (t *turns) of(id string) *sync.Mutex {
	return &t.locks[maphash.String(t.seed, id)%uint64(len(t.locks))]
}

// take waits for the client id's turn; the connection keeps it until pass.
func (c *conn) take(turn *sync.Mutex) {
	turn.Lock()
	c.turn = turn
}

// pass ends the connection's turn, if it has one. It belongs to the goroutine
// that reads.
func (c *conn) pass() {
	if c.turn != nil {
		c.turn.Unlock()
		c.turn = nil
	}
}

// OnSessionEstablish prepares what the connection inherits, if it inherits.
func (h *hook) OnSessionEstablish(cl *mqtt.Client, pk packets.Packet) {
	old, ok := h.b.server.Clients.Get(cl.ID)
	if !ok || pk.Connect.Clean || old.Properties.Clean && old.Properties.ProtocolVersion < 5 {
		return
	}
	c := connOf(cl)
	c.resumed = make(chan struct{})
	if was := connOf(old); was != nil {
		c.exchanges = was.exchanges
	}
	h.b.forget(old)
	inOrder(old.State.Inflight)
}

// inOrder gives the messages that wait in a session their order back: mochi
// re-sends them sorted by their time in seconds, at random within one second.
// Their place, counted from the id after the widest gap, becomes their time.
func inOrder(waiting *mqtt.Inflight) {
	ring := waiting.GetAll(false)
	slices.SortFunc(ring, func(a, b packets.Packet) int { return cmp.Compare(a.PacketID, b.PacketID) })
	for i, pk := range unroll(ring) {
		pk.Created = int64(i)
		waiting.Set(pk)
	}
}

// unroll begins a sorted ring of packet ids after its widest gap: ids count up
// to 65535 and begin anew.
func unroll(ring []packets.Packet) []packets.Packet {
	if len(ring) < 2 {
		return ring
	}
	start, widest := 0, int(ring[0].PacketID)+65535-int(ring[len(ring)-1].PacketID)
	for i := 1; i < len(ring); i++ {
		if gap := int(ring[i].PacketID) - int(ring[i-1].PacketID); gap > widest {
			start, widest = i, gap
		}
	}
	return slices.Concat(ring[start:], ring[:start])
}

// OnSessionEstablished lets new messages follow those that were re-sent
// [MQTT-4.6.0-6].
func (h *hook) OnSessionEstablished(cl *mqtt.Client, _ packets.Packet) {
	unlimited(cl) // mochi has counted anew
	if c := connOf(cl); c.resumed != nil {
		close(c.resumed)
	}
}

// awaitResumed holds the client's new messages back until those of its session
// are re-sent.
func (c *conn) awaitResumed() {
	if c.resumed == nil {
		return
	}
	select {
	case <-c.resumed:
	case <-c.done:
	}
}

// unlimited takes mochi's flow control away. Outwards, a message beyond the
// client's Receive Maximum would be lost and its place never given back: a
// client with a small one stalls for good. Inwards, deliveries are counted as
// if they were requests; exchanges are bounded in readPublish.
func unlimited(cl *mqtt.Client) {
	cl.Properties.Props.ReceiveMaximum = 0
	cl.State.Inflight.ResetSendQuota(0)
	cl.State.Inflight.ResetReceiveQuota(1 << 30)
}

// OnDisconnect waits for a successor that is taking the session over; after it
// mochi drops the session, unless it was taken. The listener ends the turn.
func (h *hook) OnDisconnect(cl *mqtt.Client, _ error, _ bool) {
	connOf(cl).take(h.b.turns.of(cl.ID))
}

// OnClientExpired takes the subscriptions along, which mochi leaves behind.
func (h *hook) OnClientExpired(cl *mqtt.Client) { h.b.server.UnsubscribeClient(cl) }

// abandon does for a connection whose goroutine panicked what mochi does at the
// end of one: the will, and the session.
func (b *Broker) abandon(c *conn) {
	cl := c.session()
	if cl == nil {
		return
	}
	cl.Stop(packets.ErrMalformedPacket)
	c.pass()
	c.take(b.turns.of(cl.ID))
	if will := cl.Properties.Will; atomic.CompareAndSwapUint32(&cl.Properties.Will.Flag, 1, 0) {
		b.inject(packets.Packet{
			FixedHeader: packets.FixedHeader{Type: packets.Publish, Qos: will.Qos, Retain: will.Retain},
			Connect:     packets.ConnectParams{ClientIdentifier: cl.ID},
			Properties:  packets.Properties{User: will.User},
			TopicName:   will.TopicName, Payload: will.Payload, PacketID: uint16(will.Qos),
		})
	}
	ends := cl.Properties.Clean
	if cl.Properties.ProtocolVersion == 5 {
		ends = cl.Properties.Props.SessionExpiryInterval == 0
	}
	if ends && !cl.IsTakenOver() {
		cl.ClearInflights()
		b.server.UnsubscribeClient(cl)
		b.server.Clients.Delete(cl.ID)
	}
}

// forget takes the acknowledgement of a QoS 2 message out of mochi's notes.
func (b *Broker) forget(cl *mqtt.Client) {
	if cl.State.Inflight.Delete(0) {
		atomic.AddInt64(&b.server.Info.Inflight, -1)
	}
}
