package broker

import (
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// Bounds of one connection.
const (
	connectTimeout = 10 * time.Second // from accept to a whole CONNECT, handshake included
	writeTimeout   = 10 * time.Second // a peer that takes no chunk for so long is gone
	lingerTimeout  = time.Second      // for the last packets, CONNACK or DISCONNECT
	patience       = time.Second      // a burst waits so long for a peer that takes nothing
	maxBuffered    = 1 << 20          // bytes that wait for a slow peer; beyond, it is cut off
	paced          = maxBuffered / 2  // bytes from which on a burst waits for the peer
	chunk          = 64 << 10         // bytes per write: progress is seen in such steps
)

var errSlow = errors.New("the client does not read: its write buffer is full")

// conn decouples mochi from the peer: Write only appends to a bounded buffer,
// which a goroutine that exists while there is something to send writes out, or
// the one that reads, after a request that it served itself (serve.go).
// Without it one peer that stops reading stalls every publisher, because mochi
// holds the client's lock while it writes.
type conn struct {
	net.Conn
	slow    func(*mqtt.Client) // called once, when the buffer overflows, with mu held
	traffic *traffic
	room    chan struct{}
	done    chan struct{} // closed by Close
	from    origin

	// Of the goroutine that reads: see packet.go and session.go.
	principal Principal // once CONNECT was accepted
	session   *session  // the same
	link      *link     // the session's hold of this connection
	present   bool      // the session was there before
	wire      wire
	emptyWill bool // see OnPacketRead
	goodbye   atomic.Bool
	presence  presence
	ending    ending // why the gateway ends it
	told      bool   // why it ends
	broken    error  // of the last Read
	last      byte   // that came
	unread    int    // bytes that came and are in no packet yet
	aliases   map[uint16]string
	rate      bucket
	held      held

	mu       sync.Mutex
	client   *mqtt.Client  // once CONNECT was accepted
	silence  time.Duration // of the peer that is borne; 0: any, or no CONNECT was accepted
	pending  []byte
	queued   int  // bytes pending and being written
	wanted   bool // the session waits for room
	stalled  bool // the peer took nothing for the length of patience
	flushing bool
	serving  bool // the goroutine that reads is in serve
	corked   bool // it will flush
	closed   bool
	err      error
	flushes  sync.WaitGroup
}

func newConn(c net.Conn, slow func(*mqtt.Client), t *traffic, from origin) *conn {
	_ = c.SetDeadline(time.Now().Add(connectTimeout))
	return &conn{
		Conn: c, slow: slow, traffic: t, from: from,
		room: make(chan struct{}, 1), done: make(chan struct{}),
	}
}

// origin is how a connection came in.
type origin struct {
	listener *listener
	admits   []string      // of auth, when it came
	request  *http.Request // that became a WebSocket; nil: none did
}

// TLS is the connection's TLS layer; nil on a plain listener.
func (c *conn) TLS() *tls.Conn {
	t, _ := c.stream().(*tls.Conn)
	return t
}

// stream is what is below MQTT and WebSocket.
func (c *conn) stream() net.Conn {
	if w, ok := c.Conn.(*webSocket); ok {
		return w.NetConn()
	}
	return c.Conn
}

// hangUp closes the socket. Of a broken connection the peer takes no goodbye of
// TLS and WebSocket either, which would wait for it, for seconds.
func (c *conn) hangUp(broken bool) {
	last := c.Conn
	if broken {
		last = c.stream()
		if t, ok := last.(*tls.Conn); ok {
			last = t.NetConn()
		}
	}
	_ = last.Close()
}

// admit notes whose connection it is, once CONNECT was accepted, and how long
// its peer may be silent [MQTT-3.1.2-24].
func (c *conn) admit(cl *mqtt.Client) {
	c.mu.Lock()
	c.client = cl
	c.silence = time.Duration(cl.State.Keepalive) * time.Second * 3 / 2
	c.mu.Unlock()
}

// SetDeadline sets the read half only: the other belongs to flush. That of the
// keep-alive is not as mochi reckons it, in whole seconds of 16 bits: a keep-alive
// of 1 would be one of 1 s, and one of 43691 over at once.
func (c *conn) SetDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || c.err != nil {
		return net.ErrClosed
	}
	if c.silence > 0 {
		t = time.Now().Add(c.silence)
	}
	return c.Conn.SetReadDeadline(t)
}

func (c *conn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.unread += n
	if c.broken = err; n > 0 {
		c.last = b[n-1]
	}
	return n, err
}

// Write never blocks. What it took may still be lost with the connection, as
// with a socket's own buffer.
func (c *conn) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.err != nil:
		return 0, c.err
	case c.closed:
		return 0, net.ErrClosed
	case c.queued > 0 && c.queued+len(b) > maxBuffered:
		c.err = errSlow
		c.slow(c.client)
		_ = c.Conn.SetDeadline(time.Unix(1, 0)) // flush is writing: it fails, and closes
		return 0, c.err
	}
	c.pending = append(c.buffer(), b...)
	c.grown(len(b))
	return len(b), nil
}

// publish writes a PUBLISH, past mochi. Whether there is room for it was asked
// before: takes, hasRoom.
func (c *conn) publish(p *publication) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil || c.closed {
		return
	}
	was := len(c.pending)
	c.pending = p.appendTo(c.buffer())
	n := len(c.pending) - was
	c.traffic.sent.Add(1)
	c.traffic.bytes.Add(int64(n))
	c.grown(n)
}

// acknowledge answers a PUBLISH or a PUBREC.
func (c *conn) acknowledge(kind byte, id uint16) {
	flags := byte(0)
	if kind == packets.Pubrel {
		flags = 2 // [MQTT-3.6.1-1]
	}
	_, _ = c.Write([]byte{kind<<4 | flags, 2, byte(id >> 8), byte(id)}) // a client that is gone repeats it
	c.traffic.bytes.Add(4)
}

// takes tells whether a message of QoS 0 is written: a client that is behind
// goes without it.
func (c *conn) takes(m *message) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.queued == 0 || c.queued+m.size() <= paced && !c.traffic.crowded(c.queued)
}

// hasRoom tells whether a message that waits is written now. If not, the
// session is woken when there is.
func (c *conn) hasRoom() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wanted = c.queued > paced || c.traffic.crowded(c.queued)
	return !c.wanted
}

// buffers are for what is being written. An idle connection has none.
var buffers = sync.Pool{New: func() any { return new([4 << 10]byte) }}

// buffer is pending, with room. It needs mu.
func (c *conn) buffer() []byte {
	if c.pending == nil {
		return buffers.Get().(*[4 << 10]byte)[:0]
	}
	return c.pending
}

// grown notes that there is more to write. It needs mu.
func (c *conn) grown(n int) {
	c.queued += n
	c.traffic.buffered.Add(int64(n))
	c.startFlush()
}

// Close sends what is buffered, for a short time, and closes. It returns at once.
func (c *conn) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil
	}
	c.closed = true
	close(c.done)
	_ = c.Conn.SetReadDeadline(time.Unix(1, 0)) // a blocked read returns
	_ = c.Conn.SetWriteDeadline(time.Now().Add(lingerTimeout))
	c.startFlush()
	return nil
}

// wait returns when the socket is closed. Close must have been called.
func (c *conn) wait() { c.flushes.Wait() }

// startFlush needs mu.
func (c *conn) startFlush() {
	if !c.flushing {
		c.flushing = true
		c.flushes.Go(c.flush)
	}
}

// flush writes until nothing is pending, and closes the socket of a connection
// that is closed or broken.
func (c *conn) flush() {
	for {
		c.mu.Lock()
		if len(c.pending) == 0 || c.err != nil {
			c.traffic.buffered.Add(-int64(len(c.pending)))
			c.pending = nil
			c.flushing = false
			broken := c.err != nil
			over := c.closed || broken
			c.mu.Unlock()
			if over { // the listener's lock is taken there, and ours may be wanted with it held
				c.hangUp(broken)
			}
			return
		}
		out := c.pending
		c.pending = nil
		c.mu.Unlock()

		rest := out
		for len(rest) > 0 && c.writeChunk(rest[:min(len(rest), chunk)]) {
			rest = rest[min(len(rest), chunk):]
		}
		if cap(out) == 4<<10 { // a burst's is not kept
			buffers.Put((*[4 << 10]byte)(out[:4<<10]))
		}
	}
}

func (c *conn) writeChunk(b []byte) bool {
	c.mu.Lock()
	if c.err == nil && !c.closed {
		_ = c.Conn.SetWriteDeadline(time.Now().Add(writeTimeout))
	}
	c.mu.Unlock()

	_, err := c.Conn.Write(b)

	c.mu.Lock()
	c.queued -= len(b)
	c.traffic.buffered.Add(-int64(len(b)))
	c.stalled = false
	if c.queued <= paced {
		select {
		case c.room <- struct{}{}:
		default:
		}
	}
	if err != nil && c.err == nil {
		c.err = err
	}
	ok := c.err == nil
	wake := ok && c.wanted && c.queued <= paced && !c.traffic.crowded(c.queued)
	if wake {
		c.wanted = false
	}
	c.mu.Unlock()
	if wake {
		c.session.wake()
	}
	return ok
}

// pace holds a goroutine of the client's own, never a publisher, while the
// buffer is half full and the peer takes from it. So a burst, retained messages
// or those of a session that is resumed, reaches a slow peer instead of cutting
// it off, again and again.
func (c *conn) pace() {
	for {
		c.mu.Lock()
		wait := c.queued > paced && !c.stalled && !c.closed && c.err == nil
		c.mu.Unlock()
		if !wait {
			return
		}
		select {
		case <-c.room:
		case <-c.done:
		case <-time.After(patience):
			c.mu.Lock()
			c.stalled = c.queued > paced
			c.mu.Unlock()
		}
	}
}
