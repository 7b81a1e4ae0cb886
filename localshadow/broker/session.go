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

// locks are what the goroutine of a connection holds from one hook of mochi to
// another. A session moves to its next connection while no message is being
// delivered: what came to the old one after its copy was made would be lost.
type locks struct {
	turn   *sync.Mutex
	moving *sync.RWMutex // locked
	fan    *sync.RWMutex // read-locked
}

// take waits for the turn of the client id.
func (l *locks) take(turn *sync.Mutex) {
	l.release()
	turn.Lock()
	l.turn = turn
}

// move waits until no message is being delivered, and holds new ones up.
func (l *locks) move(fan *sync.RWMutex) {
	fan.Lock()
	l.moving = fan
}

// deliver waits for sessions that are moving.
func (l *locks) deliver(fan *sync.RWMutex) {
	l.release()
	fan.RLock()
	l.fan = fan
}

// release gives back what is held. Any hook may turn out to be the last, so the
// listener calls it too.
func (l *locks) release() {
	if l.fan != nil {
		l.fan.RUnlock()
	}
	if l.moving != nil {
		l.moving.Unlock()
	}
	if l.turn != nil {
		l.turn.Unlock()
	}
	*l = locks{}
}

// OnSessionEstablish prepares what the connection inherits, if it inherits.
func (h *hook) OnSessionEstablish(cl *mqtt.Client, pk packets.Packet) {
	old, ok := h.b.server.Clients.Get(cl.ID)
	if !ok || pk.Connect.Clean || old.Properties.Clean && old.Properties.ProtocolVersion < 5 {
		return
	}
	c := connOf(cl)
	c.held.move(&h.b.fan)
	c.resumed = make(chan struct{})
	if was := connOf(old); was != nil {
		c.exchanges = was.exchanges
	}
	h.b.forget(old)
	h.b.withdraw(old, c.principal)
	inOrder(old.State.Inflight)
}

// Places of messages, in the field Created, by which mochi sorts what it sends
// again: by its low 16 bits, so those of a new message are never below the
// ones that inOrder gives.
const (
	lowest = 1 << 10 // more than capabilities allow in flight
	span   = 1<<16 - lowest
)

// OnQosPublish gives a delivery its place. It is not sent yet.
func (h *hook) OnQosPublish(cl *mqtt.Client, pk packets.Packet, _ int64, _ int) {
	if pk.FixedHeader.Type != packets.Publish || pk.FixedHeader.Dup {
		return
	}
	n := h.b.places.Add(1)
	pk.Created = n/span<<16 | (lowest + n%span)
	cl.State.Inflight.Set(pk)
}

// withdraw takes out what the client may not receive any more.
func (b *Broker) withdraw(cl *mqtt.Client, who Principal) {
	for _, pk := range cl.State.Inflight.GetAll(false) {
		if pk.FixedHeader.Type == packets.Publish && !mayReceive(who, pk.TopicName) && cl.State.Inflight.Delete(pk.PacketID) {
			atomic.AddInt64(&b.server.Info.Inflight, -1)
		}
	}
}

// inOrder numbers the messages that wait in a session, and may be there for the
// second time, anew.
func inOrder(waiting *mqtt.Inflight) {
	all := waiting.GetAll(false)
	slices.SortFunc(all, func(a, b packets.Packet) int { return cmp.Compare(a.Created, b.Created) })
	for i, pk := range all {
		pk.Created = int64(i)
		waiting.Set(pk)
	}
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
	connOf(cl).held.take(h.b.turns.of(cl.ID))
}

// OnWill lets no session move before OnWillSent. A delayed will is sent later.
func (h *hook) OnWill(cl *mqtt.Client, will mqtt.Will) (mqtt.Will, error) {
	if will.WillDelayInterval == 0 {
		connOf(cl).held.deliver(&h.b.fan)
	}
	return will, nil
}

// OnWillSent may come from the clock, for a client that is gone.
func (h *hook) OnWillSent(cl *mqtt.Client, will packets.Packet) {
	if will.Connect.WillProperties.WillDelayInterval == 0 {
		connOf(cl).held.release()
	}
	h.b.relayWill(will)
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
	c.held.release()
	if will := cl.Properties.Will; atomic.CompareAndSwapUint32(&cl.Properties.Will.Flag, 1, 0) {
		pk := packets.Packet{
			FixedHeader: packets.FixedHeader{Type: packets.Publish, Qos: will.Qos, Retain: will.Retain},
			Connect:     packets.ConnectParams{ClientIdentifier: cl.ID},
			Properties:  packets.Properties{User: will.User},
			TopicName:   will.TopicName, Payload: will.Payload, PacketID: uint16(will.Qos),
		}
		b.inject(pk)
		b.relayWill(pk)
	}
	c.held.take(b.turns.of(cl.ID))
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
