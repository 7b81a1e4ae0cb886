package upstream

import (
	"fmt"
	"sync/atomic"
)

// maxPacket is the largest packet taken: AWS ends at 128 KiB (SHADOW 27), while
// MQTT allows 256 MiB, which paho would allocate before it reads them.
const maxPacket = 256 << 10

// Packet types [MQTT-2.2.1].
const (
	connack = 2
	publish = 3
	suback  = 9
)

// frames looks at the packets that come, before paho sees them, for what paho
// gets wrong: a CONNACK with a code that it does not know is a success to it,
// and a SUBACK with more codes than filters a panic.
type frames struct {
	connected bool         // the CONNACK came, with code 0
	asked     atomic.Int32 // filters in the outstanding SUBSCRIBE
	ahead     atomic.Int64 // PUBLISH packets before the last SUBACK
	publishes int64

	at     int // in the header: 0 the type, 1 to 4 the length, 5 the body
	kind   byte
	length int
	seen   int // of the body
}

// ConnackError is a refused CONNECT. Code is its return code (MQTT 3.1.1, 3.2.2.3).
type ConnackError struct{ Code byte }

func (e *ConnackError) Error() string {
	text := "unknown code"
	switch e.Code {
	case 1:
		text = "protocol version refused"
	case 2:
		text = "client id refused"
	case 3:
		text = "server unavailable"
	case 4:
		text = "bad user name or password"
	case 5, 7: // 7: AWS, instead of 5 (SHADOW 18)
		text = "not authorized"
	}
	return fmt.Sprintf("CONNECT refused with code %d: %s", e.Code, text)
}

// see looks at the next bytes.
func (f *frames) see(p []byte) error {
	for len(p) > 0 {
		switch {
		case f.at == 0:
			f.kind, f.length, f.seen, f.at = p[0]>>4, 0, 0, 1
			p = p[1:]
		case f.at < 5:
			f.length |= int(p[0]&0x7f) << (7 * (f.at - 1))
			more := p[0]&0x80 != 0
			if p = p[1:]; more {
				if f.at++; f.at == 5 {
					return fmt.Errorf("packet type %d: bad length", f.kind) // [MQTT-2.2.3]
				}
				continue
			}
			if err := f.check(); err != nil {
				return err
			}
			switch f.kind {
			case publish:
				f.publishes++
			case suback:
				f.ahead.Store(f.publishes)
			}
			if f.at = 5; f.length == 0 {
				f.at = 0
			}
		default:
			n := min(len(p), f.length-f.seen)
			if f.kind == connack && f.seen+n == f.length {
				if code := p[n-1]; code != 0 {
					return &ConnackError{code}
				}
				f.connected = true
			}
			p = p[n:]
			if f.seen += n; f.seen == f.length {
				f.at = 0
			}
		}
	}
	return nil
}

// check holds a header to what may come.
func (f *frames) check() error {
	switch {
	case f.connected == (f.kind == connack):
		return fmt.Errorf("packet type %d where none may be", f.kind) // [MQTT-3.2.0-1], [MQTT-3.2.0-2]
	case f.kind == connack && f.length != 2:
		return fmt.Errorf("CONNACK of %d bytes", f.length)
	case f.kind == suback && f.length != 2+int(f.asked.Load()):
		return fmt.Errorf("SUBACK for %d filters, asked for %d", f.length-2, f.asked.Load()) // [MQTT-3.8.4-5]
	case f.length > maxPacket:
		return fmt.Errorf("packet type %d of %d bytes, more than %d", f.kind, f.length, maxPacket)
	}
	return nil
}
