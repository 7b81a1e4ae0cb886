package broker

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"edgeshadow/localshadow"
)

const (
	// grace is how long the acknowledgement of a message waits for subscribers
	// that are connected. Only what they have not acknowledged by then is
	// written, so that flash is spared while all is well.
	grace = 50 * time.Millisecond
	// lazily is how long a write may wait that nobody waits for: the end of a
	// delivery, a retained message of QoS 0. Together they cost one fsync.
	lazily = time.Second
	// maxBatch bounds one operation of the store.
	maxBatch = 256 << 10
)

// keeper writes what outlives the broker to the store: sessions that last, what
// waits for them, and retained messages. A nil store keeps nothing.
//
// Writes are gathered while the commit before them runs. A value that is taken
// back before it was written is never written. Its lock is taken with a
// session's held, never the other way round.
type keeper struct {
	store  *localshadow.Store
	failed func(error)
	nudge  chan struct{}
	stop   chan struct{}
	batch  sync.RWMutex // read-locked by who writes several values that belong together

	mu      sync.Mutex
	seq     uint64
	pending map[string]write
	told    []func(bool) // once pending is committed, or not
	urgent  bool
	later   []later
}

// write is the value of a key; nil removes it.
type write struct {
	value []byte
	fresh bool // the store never had the key
}

// later is a delivery that is written at its time, if it is still there.
type later struct {
	s  *session
	d  *delivery
	at time.Time
}

func newKeeper(store *localshadow.Store, failed func(error)) *keeper {
	return &keeper{
		store: store, failed: failed, nudge: make(chan struct{}, 1), stop: make(chan struct{}),
		pending: map[string]write{},
	}
}

func (k *keeper) wake() {
	select {
	case k.nudge <- struct{}{}:
	default:
	}
}

// put needs mu.
func (k *keeper) put(key string, value []byte, fresh bool) {
	if old, ok := k.pending[key]; ok {
		fresh = old.fresh
	}
	k.pending[key] = write{value, fresh}
}

// remove needs mu.
func (k *keeper) remove(key string) {
	if old, ok := k.pending[key]; ok && old.fresh {
		delete(k.pending, key)
		return
	}
	k.pending[key] = write{}
}

// tell calls done when all that is pending is on disk, or could not be brought
// there. It needs mu.
func (k *keeper) tell(done func(bool)) {
	if done != nil {
		k.told = append(k.told, done)
	}
	k.urgent = true
	k.wake()
}

// sync waits until what was written before it is on disk.
func (k *keeper) sync() bool {
	if k.store == nil {
		return true
	}
	done := make(chan bool, 1)
	k.mu.Lock()
	k.tell(func(ok bool) { done <- ok })
	k.mu.Unlock()
	return <-done
}

// hold sees to it that a message is not acknowledged to its sender before it is
// in the store or with the client. It needs the session's mu.
func (k *keeper) hold(s *session, d *delivery, r *receipt) {
	if k.store == nil {
		return
	}
	if r != nil {
		d.receipt = r.hold()
	}
	switch {
	case s.link == nil:
		k.write(s, d)
	case d.qos == 2: // its id must be known after a restart, or it comes twice
		d.storing = true
		k.write(s, d)
	case r != nil:
		k.mu.Lock()
		k.later = append(k.later, later{s, d, time.Now().Add(grace)})
		if len(k.later) == 1 {
			k.wake()
		}
		k.mu.Unlock()
	}
}

// write brings a delivery to the store. It needs the session's mu.
func (k *keeper) write(s *session, d *delivery) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if d.m.kept++; d.m.kept == 1 {
		fresh := d.m.seq == 0
		if fresh {
			k.seq++
			d.m.seq = k.seq
		}
		k.put(messageKey(d.m.seq), appendMessage(nil, d.m, time.Now()), fresh)
	}
	k.seq++
	d.seq = k.seq
	k.put(deliveryKey(s.id, d.seq), appendDelivery(nil, d), true)
	k.tell(func(ok bool) {
		s.mu.Lock()
		defer s.mu.Unlock()
		d.receipt.release(ok)
		d.receipt = nil
		if d.storing {
			d.storing = false
			s.pump()
		}
	})
}

// keepAll writes what waits for a session whose client has gone. It needs the
// session's mu.
func (k *keeper) keepAll(s *session) {
	if k.store == nil {
		return
	}
	for _, d := range s.list {
		if !d.done && d.seq == 0 {
			k.write(s, d)
		}
	}
}

// release writes that PUBREC has come for a delivery, and then answers it: from
// there on the message may not be sent again [MQTT-4.3.3-5]. It needs the
// session's mu.
func (k *keeper) release(s *session, d *delivery) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.put(deliveryKey(s.id, d.seq), appendDelivery(nil, d), false)
	k.tell(func(bool) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.link != nil && !d.done {
			s.link.c.acknowledge(packets.Pubrel, d.id)
		}
	})
}

// drop forgets a delivery. It needs the session's mu.
func (k *keeper) drop(s *session, d *delivery) {
	d.receipt.release(true)
	d.receipt = nil
	if d.seq == 0 {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.remove(deliveryKey(s.id, d.seq))
	d.seq = 0
	if d.m.kept--; d.m.kept == 0 {
		k.remove(messageKey(d.m.seq))
	}
	k.wake()
}

// keep writes a session itself. It needs the session's mu.
func (k *keeper) keep(s *session) {
	if k.store == nil {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.put(sessionKey(s.id), appendSession(nil, s), false)
	if !s.stored {
		for _, sub := range s.subs {
			k.put(filterKey(s.id, sub.filter), appendSubscription(nil, sub), false)
		}
	}
	s.stored = true
	k.wake()
}

// forget removes a session and what belongs to it, deliveries excepted: those
// end one by one. It needs the session's mu.
func (k *keeper) forget(s *session) {
	k.mu.Lock()
	defer k.mu.Unlock()
	s.stored = false
	k.remove(sessionKey(s.id))
	for _, sub := range s.subs {
		k.remove(filterKey(s.id, sub.filter))
	}
	for _, id := range s.exchanges.all() {
		k.remove(exchangeKey(s.id, id))
	}
	k.wake()
}

// change writes or removes one value of a session that the store has.
func (k *keeper) change(key string, value []byte) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if value == nil {
		k.remove(key)
	} else {
		k.put(key, value, false)
	}
}

// exchange writes that a message of QoS 2 is ours. Its sender's receipt waits.
func (k *keeper) exchange(s *session, id uint16, r *receipt) {
	if k.store == nil {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.put(exchangeKey(s.id, id), []byte{format}, false)
	k.tell(r.hold().release)
}

// unretain removes a retained message that has expired.
func (k *keeper) unretain(topic string) { k.retain(&message{topic: topic}, nil) }

// retain writes a retained message, or that there is none any more. Without a
// receipt nobody waits.
func (k *keeper) retain(m *message, r *receipt) {
	if k.store == nil {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(m.payload) == 0 {
		k.remove(retainedKey(m.topic))
	} else {
		k.put(retainedKey(m.topic), appendMessage(nil, m, time.Now()), false)
	}
	if r == nil {
		k.wake()
		return
	}
	k.tell(r.hold().release)
}

// run writes until stop is closed and nothing is left.
func (k *keeper) run() {
	timer := time.NewTimer(lazily)
	var since time.Time // when the first write that nobody waits for came
	for {
		next := k.ripen(time.Now())
		stopping := false
		select {
		case <-k.stop:
			stopping = true
		default:
		}
		k.mu.Lock()
		idle, urgent := len(k.pending) == 0 && len(k.told) == 0, k.urgent
		k.mu.Unlock()
		now := time.Now()
		if since.IsZero() && !idle {
			since = now
		}
		switch {
		case urgent, !idle && (stopping || now.Sub(since) >= lazily):
			k.commit()
			since = time.Time{}
			continue
		case stopping:
			return
		case !idle && (next == 0 || lazily-now.Sub(since) < next):
			next = lazily - now.Sub(since)
		}
		var tick <-chan time.Time
		if next > 0 {
			timer.Reset(next)
			tick = timer.C
		}
		select {
		case <-k.nudge:
		case <-k.stop:
		case <-tick:
		}
	}
}

// ripen writes the deliveries whose grace is over, and tells how long the next
// has; 0: there is none.
func (k *keeper) ripen(now time.Time) time.Duration {
	k.mu.Lock()
	n := 0
	for n < len(k.later) && !k.later[n].at.After(now) {
		n++
	}
	due := k.later[:n]
	k.later = k.later[n:]
	var next time.Duration
	if len(k.later) > 0 {
		next = k.later[0].at.Sub(now)
	} else {
		k.later = nil
	}
	k.mu.Unlock()
	for _, l := range due {
		l.s.mu.Lock()
		if !l.d.done && l.d.seq == 0 {
			k.write(l.s, l.d)
		}
		l.s.mu.Unlock()
	}
	return next
}

// commit brings what is pending to the disk, and tells those who wait.
func (k *keeper) commit() {
	k.batch.Lock()
	k.mu.Lock()
	pending, told := k.pending, k.told
	k.pending, k.told, k.urgent = make(map[string]write), nil, false
	k.mu.Unlock()
	k.batch.Unlock()

	var (
		batches sync.WaitGroup
		fault   atomic.Pointer[error]
		batch   = map[string]write{}
		size    int
	)
	submit := func() {
		part := batch
		batch, size = map[string]write{}, 0
		batches.Add(1)
		k.store.Submit(context.Background(), func(tx *localshadow.Tx) error {
			for key, w := range part {
				if w.value == nil {
					tx.Delete([]byte(key))
				} else if err := tx.Set([]byte(key), w.value); err != nil {
					return err
				}
			}
			return nil
		}, func(err error) {
			if err != nil {
				fault.Store(&err)
			}
			batches.Done()
		})
	}
	for key, w := range pending {
		batch[key] = w
		if size += len(key) + len(w.value) + 64; size >= maxBatch {
			submit()
		}
	}
	if len(batch) > 0 {
		submit()
	}
	batches.Wait()
	err := fault.Load()
	if err != nil {
		k.failed(*err)
	}
	for _, done := range told {
		done(err == nil)
	}
}
