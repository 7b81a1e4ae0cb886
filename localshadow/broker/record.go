package broker

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// Keys in the store, below "b/". A client id, a topic and a filter hold no
// zero byte.
//
//	b/s/<client>              a session that lasts
//	b/f/<client>\0<filter>    a subscription of it
//	b/x/<client>\0<packet id> a message of QoS 2 from it, from PUBLISH to PUBREL
//	b/q/<client>\0<seq>       a message on its way to it
//	b/m/<seq>                 the message, for all that it is on its way to
//	b/r/<topic>               a retained message
const (
	sessionPrefix  = "b/s/"
	filterPrefix   = "b/f/"
	exchangePrefix = "b/x/"
	deliveryPrefix = "b/q/"
	messagePrefix  = "b/m/"
	retainedPrefix = "b/r/"
)

// longestKey is how long a topic in a key may be; of a longer one the key has a
// digest.
const longestKey = 1 << 10

func sessionKey(client string) string { return sessionPrefix + client }

func filterKey(client, filter string) string {
	return filterPrefix + client + "\x00" + short(filter)
}

func exchangeKey(client string, id uint16) string {
	return string(binary.BigEndian.AppendUint16([]byte(exchangePrefix+client+"\x00"), id))
}

func deliveryKey(client string, seq uint64) string {
	return string(binary.BigEndian.AppendUint64([]byte(deliveryPrefix+client+"\x00"), seq))
}

func messageKey(seq uint64) string {
	return string(binary.BigEndian.AppendUint64([]byte(messagePrefix), seq))
}

func retainedKey(topic string) string { return retainedPrefix + short(topic) }

func short(topic string) string {
	if len(topic) <= longestKey {
		return topic
	}
	sum := sha256.Sum256([]byte(topic))
	return "\x00" + string(sum[:])
}

// format is the first byte of each record.
const format = 1

var errRecord = errors.New("not a record of this version")

// never is an expiry.
const never = 1<<64 - 1

func appendSession(dst []byte, s *session) []byte {
	expiry := uint64(never)
	if s.expiry >= 0 {
		expiry = uint64(s.expiry / time.Second)
	}
	return appendLong(binary.AppendUvarint(append(dst, format), expiry), s.owner)
}

func readSession(b []byte, s *session) error {
	r := reader{rest: b}
	r.format()
	s.expiry = -1
	if n := r.number(); n != never {
		s.expiry = time.Duration(n) * time.Second
	}
	s.owner = r.text()
	return r.end()
}

// Flags of records.
const (
	flagRetain = 1 << iota
	flagReleased
	flagNoLocal
	flagPublished
)

func appendSubscription(dst []byte, sub *subscription) []byte {
	flags := byte(0)
	if sub.noLocal {
		flags |= flagNoLocal
	}
	if sub.published {
		flags |= flagPublished
	}
	dst = binary.AppendUvarint(append(dst, format, sub.qos, flags), uint64(sub.id))
	return appendLong(dst, sub.filter)
}

func readSubscription(b []byte) (*subscription, error) {
	r := reader{rest: b}
	r.format()
	sub := &subscription{qos: r.byte()}
	flags := r.byte()
	sub.noLocal, sub.published = flags&flagNoLocal != 0, flags&flagPublished != 0
	sub.id = int(r.number())
	sub.filter = r.text()
	_, sub.shared = unshare(sub.filter)
	return sub, r.end()
}

func appendDelivery(dst []byte, d *delivery) []byte {
	flags := byte(0)
	if d.retain {
		flags |= flagRetain
	}
	if d.released {
		flags |= flagReleased
	}
	dst = binary.BigEndian.AppendUint16(append(dst, format, d.qos, flags), d.id)
	dst = binary.AppendUvarint(dst, d.m.seq)
	for _, id := range d.ids {
		dst = binary.AppendUvarint(dst, uint64(id))
	}
	return dst
}

// readDelivery returns the number of the message, too.
func readDelivery(b []byte) (d *delivery, message uint64, err error) {
	r := reader{rest: b}
	r.format()
	d = &delivery{qos: r.byte()}
	flags := r.byte()
	d.retain, d.released = flags&flagRetain != 0, flags&flagReleased != 0
	d.id = uint16(r.byte())<<8 | uint16(r.byte())
	message = r.number()
	for len(r.rest) > 0 && r.err == nil {
		d.ids = append(d.ids, int(r.number()))
	}
	return d, message, r.end()
}

// appendMessage keeps of an expiry what is left of it: no clock is compared
// with that of another run.
func appendMessage(dst []byte, m *message, now time.Time) []byte {
	left := uint64(never)
	if !m.expires.IsZero() {
		left = uint64(max(0, m.expires.Sub(now)/time.Second))
	}
	flags := byte(0)
	if m.retain {
		flags |= flagRetain
	}
	dst = binary.AppendUvarint(append(dst, format, m.qos, flags), left)
	if m.retain {
		dst = binary.AppendUvarint(dst, uint64(m.stamp))
	}
	dst = appendLong(appendLong(appendLong(dst, m.topic), m.origin), m.properties)
	return append(dst, m.payload...)
}

func readMessage(b []byte, now time.Time) (*message, error) {
	r := reader{rest: b}
	r.format()
	m := &message{qos: r.byte()}
	m.retain = r.byte()&flagRetain != 0
	if left := r.number(); left != never {
		m.expires = now.Add(time.Duration(left) * time.Second)
	}
	if m.retain {
		m.stamp = int64(r.number())
	}
	m.topic, m.origin, m.properties = r.text(), r.text(), []byte(r.text())
	m.payload, r.rest = r.rest, nil
	return m, r.end()
}

func appendLong[T ~string | ~[]byte](dst []byte, s T) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

// reader reads a record; the first error stays.
type reader struct {
	rest []byte
	err  error
}

func (r *reader) format() {
	if r.byte() != format {
		r.err = errRecord
	}
}

func (r *reader) byte() byte {
	if len(r.rest) == 0 {
		r.err = errRecord
		return 0
	}
	b := r.rest[0]
	r.rest = r.rest[1:]
	return b
}

func (r *reader) number() uint64 {
	n, used := binary.Uvarint(r.rest)
	if used <= 0 {
		r.err = errRecord
		return 0
	}
	r.rest = r.rest[used:]
	return n
}

func (r *reader) text() string {
	n := r.number()
	if n > uint64(len(r.rest)) {
		r.err = errRecord
		return ""
	}
	s := string(r.rest[:n])
	r.rest = r.rest[n:]
	return s
}

func (r *reader) end() error {
	if r.err == nil && len(r.rest) > 0 {
		return fmt.Errorf("%w: %d bytes too many", errRecord, len(r.rest))
	}
	return r.err
}
