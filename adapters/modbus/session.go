package modbus

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"time"
)

// ErrTimeout is for a unit that does not answer in time. The session stays: the
// answer may come late, and is dropped then.
var ErrTimeout = errors.New("timeout")

// errSilent is for a link on which nobody is heard.
var errSilent = errors.New("no answer of any unit")

// maxSilences is how many requests in a row may go unanswered on a session in
// which nothing is heard of anyone: then it is the link that is dead.
const maxSilences = 3

// session is one connection of Modbus TCP: a link.
type session struct {
	conn        net.Conn
	transaction uint16
	buf         [2 * maxFrame]byte // received and not used yet
	start, end  int
	silences    int // timeouts since anything was heard
	discards    uint64
}

func newSession(conn net.Conn) *session {
	// A random first id: what a converter still has for the session before
	// this one does not match.
	return &session{conn: conn, transaction: uint16(rand.Uint32())}
}

// exchange sends a request and returns the answer, which is valid until the
// next exchange. Both have the transaction id that the request came with; on
// the wire it is the session's own, for units share it. Any error but
// ErrTimeout means that the session is of no more use.
func (s *session) exchange(request []byte, timeout time.Duration) ([]byte, error) {
	if err := s.conn.SetDeadline(time.Now().Add(timeout)); err != nil {
		return nil, err
	}
	id := [2]byte(request)
	s.transaction++
	binary.BigEndian.PutUint16(request, s.transaction)
	defer copy(request, id[:])
	if _, err := s.conn.Write(request); err != nil {
		return nil, err
	}
	for {
		frame, err := s.next()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			if s.silences++; s.silences >= maxSilences {
				return nil, fmt.Errorf("%d requests in a row: %w", s.silences, errSilent)
			}
			return nil, ErrTimeout
		}
		if err != nil {
			return nil, err
		}
		s.silences = 0
		late, err := checkFrame(request, frame)
		if err != nil {
			return nil, err
		}
		if late {
			s.discards++
			continue
		}
		copy(frame, id[:])
		return frame, nil
	}
}

// next is the next frame of the stream. What came of one that is not whole
// stays for the next call.
func (s *session) next() ([]byte, error) {
	for {
		frame, err := cutFrame(s.buf[s.start:s.end])
		if frame != nil || err != nil {
			s.start += len(frame)
			return frame, err
		}
		copy(s.buf[:], s.buf[s.start:s.end])
		s.start, s.end = 0, s.end-s.start
		n, err := s.conn.Read(s.buf[s.end:])
		s.end += n
		if n == 0 && err != nil {
			return nil, err
		}
	}
}

// discarded is how many answers came too late since the last call.
func (s *session) discarded() uint64 {
	n := s.discards
	s.discards = 0
	return n
}

func (s *session) interrupt() { _ = s.conn.Close() }

func (s *session) Close() error { return s.conn.Close() }
