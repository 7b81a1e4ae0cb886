package modbus

import (
	"context"
	"net"
	"time"

	"edgeshadow/adapters/port"
)

// link is the way to the units of a bus: a session of Modbus TCP, a serial
// line, or a line behind a converter. One goroutine uses it; interrupt may be
// called from any.
type link interface {
	// exchange sends a request and returns the answer, which is valid until the
	// next exchange. Any error but ErrTimeout means that the link is of no more use.
	exchange(request []byte, timeout time.Duration) ([]byte, error)
	// discarded is how much was heard that nobody waited for, since the last call.
	discarded() uint64
	// interrupt ends an exchange early, and the use of the link with it.
	interrupt()
	Close() error
}

// open makes the link that a bus is configured for.
func (c Config) open(ctx context.Context) (link, error) {
	if c.Type == RTU {
		p, err := port.Open(c.Port, c.Line, c.RS485)
		if err != nil {
			return nil, err
		}
		return newRTU(p, c.Line.Time), nil
	}
	d := net.Dialer{Timeout: c.Timeout}
	conn, err := d.DialContext(ctx, "tcp", c.Host)
	if err != nil {
		return nil, err
	}
	if c.Type == RTUTCP {
		return newStream(&stream{conn: conn}), nil
	}
	return newSession(conn), nil
}

// stream is a line behind a converter: its bytes come over a connection.
type stream struct{ conn net.Conn }

func (s *stream) Read(to []byte, timeout time.Duration) (int, error) {
	// After a deadline that has passed not even what is there is read.
	if err := s.conn.SetReadDeadline(time.Now().Add(max(timeout, time.Millisecond))); err != nil {
		return 0, err
	}
	return s.conn.Read(to)
}

func (s *stream) Write(frame []byte, timeout time.Duration) error {
	if err := s.conn.SetWriteDeadline(time.Now().Add(timeout)); err != nil {
		return err
	}
	_, err := s.conn.Write(frame)
	return err
}

// Flush has nothing to do: what is in the connection is read, and dropped, by
// who drains.
func (s *stream) Flush() error { return nil }

func (s *stream) Close() error { return s.conn.Close() }
