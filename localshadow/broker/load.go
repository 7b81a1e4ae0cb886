package broker

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	"edgeshadow/localshadow"
)

// errOrphan says that the session of a record has ended, or the message of a
// delivery: a kill came between the removals.
var errOrphan = errors.New("belongs to nothing")

// load brings back what the store has kept. A record that can't be read is left
// out and counted: one of them must not keep the gateway from starting.
func (b *Broker) load() error {
	if b.Store == nil {
		return nil
	}
	messages := map[uint64]*message{}
	var bad int
	now := time.Now()
	err := b.Store.View(func(r localshadow.Reader) error {
		scan := func(prefix string, read func(key string, value []byte) error) error {
			return r.Scan([]byte(prefix), func(key, value []byte) error {
				switch err := read(string(key[len(prefix):]), value); {
				case errors.Is(err, errOrphan):
					b.keeper.remove(string(key))
				case err != nil:
					bad++
				}
				return nil
			})
		}
		for _, step := range []struct {
			prefix string
			read   func(key string, value []byte) error
		}{
			{sessionPrefix, b.loadSession},
			{filterPrefix, b.loadSubscription},
			{exchangePrefix, b.loadExchange},
			{messagePrefix, func(key string, value []byte) error {
				m, err := readMessage(value, now)
				if err == nil {
					m.seq = binary.BigEndian.Uint64([]byte(key))
					messages[m.seq] = m
					b.keeper.seq = max(b.keeper.seq, m.seq)
				}
				return err
			}},
			{deliveryPrefix, func(key string, value []byte) error { return b.loadDelivery(key, value, messages) }},
			{retainedPrefix, func(_ string, value []byte) error {
				m, err := readMessage(value, now)
				if err == nil {
					b.retained.set(m)
				}
				return err
			}},
		} {
			if err := scan(step.prefix, step.read); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("load sessions: %w", err)
	}
	if bad > 0 {
		b.log.Warn("records of sessions and retained messages that can't be read are left out", "count", bad)
	}
	for seq, m := range messages {
		if m.kept == 0 { // the last delivery of it was taken out alone
			b.keeper.remove(messageKey(seq))
		}
	}
	for _, s := range b.sessions.byID {
		if s.expiry >= 0 { // it counts anew: nobody knows how long the gateway was away
			s.timer = time.AfterFunc(s.expiry, func() { b.sessions.expire(s) })
		}
	}
	return nil
}

func (b *Broker) loadSession(client string, value []byte) error {
	s := newSession(b, client)
	s.lasts, s.stored = true, true
	if err := readSession(value, s); err != nil {
		return err
	}
	b.sessions.byID[client] = s
	return nil
}

func (b *Broker) loadSubscription(key string, value []byte) error {
	client, _, _ := strings.Cut(key, "\x00")
	sub, err := readSubscription(value)
	switch {
	case err != nil:
		return err
	case b.sessions.byID[client] == nil:
		return errOrphan
	}
	sub.s = b.sessions.byID[client]
	sub.s.subs[sub.filter] = sub
	b.filters.set(sub)
	return nil
}

func (b *Broker) loadExchange(key string, _ []byte) error {
	client, id, _ := strings.Cut(key, "\x00")
	s := b.sessions.byID[client]
	switch {
	case len(id) != 2:
		return errRecord
	case s == nil:
		return errOrphan
	}
	s.exchanges.ids[binary.BigEndian.Uint16([]byte(id))] = &exchange{received: true}
	return nil
}

func (b *Broker) loadDelivery(key string, value []byte, messages map[uint64]*message) error {
	client, seq, _ := strings.Cut(key, "\x00")
	d, number, err := readDelivery(value)
	s, m := b.sessions.byID[client], messages[number]
	switch {
	case err != nil:
		return err
	case len(seq) != 8 || d.id == 0:
		return errRecord
	case s == nil || m == nil || s.byID[d.id] != nil:
		return errOrphan
	}
	// Whether it was sent is not written. At QoS 2 the client may know its id.
	d.m, d.again = m, d.qos == 2
	d.seq = binary.BigEndian.Uint64([]byte(seq))
	b.keeper.seq = max(b.keeper.seq, d.seq)
	m.kept++
	if !b.budget.take(m) {
		return errRecord
	}
	s.add(d)
	s.lastID = d.id
	return nil
}
