package broker

import (
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"time"
)

// Bounds of one connection.
const (
	connectTimeout = 10 * time.Second // from accept to a whole CONNECT
	writeTimeout   = 10 * time.Second // a peer that takes nothing for so long is gone
	lingerTimeout  = time.Second      // for the last packets, CONNACK or DISCONNECT
	maxBuffered    = 1 << 20          // bytes that wait for a slow peer; beyond, it is cut off
)

var errSlow = errors.New("client does not read: write buffer is full")

// conn decouples mochi from the peer: Write only appends to a bounded buffer,
// which a goroutine that exists while there is something to send writes out.
// Without it one peer that stops reading stalls every publisher, because mochi
// holds the client's lock while it writes.
type conn struct {
	net.Conn
	slow func() // called once when the buffer overflows

	mu        sync.Mutex
	pending   []byte
	spare     []byte // the buffer of the flush before
	flushing  bool
	closed    bool
	err       error
	connected bool // a CONNECT was read: keep-alive deadlines count from now on
}

func newConn(c net.Conn, slow func()) *conn {
	_ = c.SetReadDeadline(time.Now().Add(connectTimeout))
	return &conn{Conn: c, slow: slow}
}

// TLS is the connection's TLS state; nil on a plain listener.
func (c *conn) TLS() *tls.ConnectionState {
	t, ok := c.Conn.(*tls.Conn)
	if !ok {
		return nil
	}
	s := t.ConnectionState()
	return &s
}

// admit ends the time that a client has for its CONNECT.
func (c *conn) admit() {
	c.mu.Lock()
	c.connected = true
	c.mu.Unlock()
}

// SetDeadline sets the read half only, and nothing before CONNECT: mochi would
// take the connect timeout away.
func (c *conn) SetDeadline(t time.Time) error {
	c.mu.Lock()
	connected := c.connected
	c.mu.Unlock()
	if !connected {
		return nil
	}
	return c.Conn.SetReadDeadline(t)
}

// Write never blocks. What it took may still be lost with the connection, as
// with a socket's own buffer.
func (c *conn) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return 0, c.err
	}
	if c.closed {
		return 0, net.ErrClosed
	}
	if len(c.pending)+len(b) > maxBuffered {
		c.err = errSlow
		c.slow()
		_ = c.Conn.Close()
		return 0, c.err
	}
	c.pending = append(c.pending, b...)
	if !c.flushing {
		c.flushing = true
		go c.flush()
	}
	return len(b), nil
}

// Close sends what is buffered, for a short time, and closes. It returns at once.
func (c *conn) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil
	}
	c.closed = true
	_ = c.Conn.SetReadDeadline(time.Unix(1, 0)) // a blocked read returns
	if c.flushing {
		_ = c.Conn.SetWriteDeadline(time.Now().Add(lingerTimeout))
		return nil
	}
	return c.Conn.Close()
}

// flush writes until nothing is pending.
func (c *conn) flush() {
	for {
		c.mu.Lock()
		if len(c.pending) == 0 || c.err != nil {
			c.flushing = false
			if c.closed || c.err != nil {
				_ = c.Conn.Close()
			}
			c.mu.Unlock()
			return
		}
		out := c.pending
		c.pending, c.spare = c.spare[:0], nil
		if !c.closed {
			_ = c.Conn.SetWriteDeadline(time.Now().Add(writeTimeout))
		}
		c.mu.Unlock()

		_, err := c.Conn.Write(out)

		c.mu.Lock()
		if err != nil && c.err == nil {
			c.err = err
		}
		if cap(out) <= 64<<10 { // a burst's buffer is not kept
			c.spare = out[:0]
		}
		c.mu.Unlock()
	}
}
