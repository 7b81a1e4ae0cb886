package broker

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"os"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/mochi-mqtt/server/v2/packets"
)

// acceptPause is how long a listener waits after it could not accept: mostly
// there are no file descriptors left.
const acceptPause = 100 * time.Millisecond

// listener accepts connections for mochi: wrapped, counted, and with a recover
// around the session, because a malformed packet can panic in mochi's parser
// and would end the daemon.
type listener struct {
	id      string
	address string // as configured
	net     net.Listener
	rules   atomic.Pointer[rules]
	b       *Broker
	log     *slog.Logger
	done    chan struct{} // closed by Close

	mu       sync.Mutex
	conns    map[io.Closer]struct{}
	closed   bool
	sessions sync.WaitGroup
}

// rules are what holds for the connections that a listener accepts from now on.
type rules struct {
	protocol string
	auth     []string
	loopback bool
	tls      *tls.Config // nil: plain
}

// rules reads the listener's certificates.
func (l Listener) rules(ca CA) (*rules, error) {
	r := &rules{protocol: l.protocol(), auth: l.auth(), loopback: l.loopback()}
	if l.TLS != nil {
		var err error
		if r.tls, err = l.TLS.config(ca, r.protocol, r.auth); err != nil {
			return nil, fmt.Errorf("TLS of listener %s: %w", l.Address, err)
		}
	}
	return r, nil
}

// listen binds, so that "address in use" is an error of the start. Those who
// leave don't stand in the way.
func (b *Broker) listen(cfg Listener, leaving []*listener) (*listener, error) {
	r, err := cfg.rules(b.ca)
	if err != nil {
		return nil, err
	}
	inner, err := bind(cfg)
	if errors.Is(err, syscall.EADDRINUSE) && cfg.Protocol != Unix && len(leaving) > 0 {
		inner, err = bindBeside(cfg.Address, leaving)
	}
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", cfg.Address, err)
	}
	b.listened++
	l := &listener{
		id: fmt.Sprint(b.listened), address: cfg.Address, net: inner, b: b, log: b.log.With("listener", cfg.Address),
		done: make(chan struct{}), conns: map[io.Closer]struct{}{},
	}
	l.rules.Store(r)
	return l, nil
}

// socketMode lets the owner and its group connect.
const socketMode = 0o660

func bind(cfg Listener) (net.Listener, error) {
	if cfg.Protocol != Unix {
		return net.Listen("tcp", cfg.Address)
	}
	// The socket of a daemon that was killed is replaced; that of a running one
	// is an error.
	if c, err := net.DialTimeout("unix", cfg.Address, time.Second); err == nil {
		_ = c.Close()
		return nil, errors.New("another process listens there")
	}
	if i, err := os.Lstat(cfg.Address); err == nil && i.Mode().Type() == os.ModeSocket {
		if err := os.Remove(cfg.Address); err != nil {
			return nil, err
		}
	}
	l, err := net.Listen("unix", cfg.Address)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(cfg.Address, socketMode); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

func (l *listener) ID() string              { return l.id }
func (l *listener) Address() string         { return l.net.Addr().String() }
func (l *listener) Protocol() string        { return l.rules.Load().protocol }
func (l *listener) Init(*slog.Logger) error { return nil }

// Serve accepts until Close, whatever happens in between.
func (l *listener) Serve(establish listeners.EstablishFn) {
	failures := 0
	for {
		c, err := l.net.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			if failures++; failures == 1 {
				l.log.Warn("can't accept connections; trying on", "err", err)
			}
			select {
			case <-l.done:
			case <-time.After(acceptPause):
			}
			continue
		}
		if failures > 0 {
			l.log.Info("accepting connections again", "failures", failures)
			failures = 0
		}
		l.accept(c, establish)
	}
}

// accept starts to serve a connection, when there is room for it.
func (l *listener) accept(c net.Conn, establish listeners.EstablishFn) {
	if !l.b.gate.enter(c.RemoteAddr()) {
		l.b.stats.refused.Add(1)
		l.log.Debug("too many connections", "remote", c.RemoteAddr())
		_ = c.Close()
		return
	}
	r := l.rules.Load()
	p := &place{Conn: c, l: l, rules: r, establish: establish}
	inner := net.Conn(p)
	if r.tls != nil {
		inner = tls.Server(p, r.tls)
	}
	switch r.protocol {
	case WS, HTTP:
		if !l.hold(p) {
			_ = p.Close()
			return
		}
		l.b.web.take(inner)
	default:
		mqttConn := newConn(inner, l.b.cutSlow, &l.b.traffic, origin{listener: l, admits: r.auth})
		if !l.begin(mqttConn) {
			_ = mqttConn.Close()
			return
		}
		go l.session(mqttConn, establish)
	}
}

// hold notes a connection for Close, unless that has begun.
func (l *listener) hold(c io.Closer) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed {
		l.conns[c] = struct{}{}
	}
	return !l.closed
}

func (l *listener) drop(c io.Closer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.conns, c)
}

// begin is hold for a session, which Close waits for; session ends it.
func (l *listener) begin(c *conn) bool {
	l.sessions.Add(1)
	if l.hold(c) {
		return true
	}
	l.sessions.Done()
	return false
}

// place is an accepted connection and its place at the gate, which it gives
// back when it is closed.
type place struct {
	net.Conn
	l         *listener
	rules     *rules // when it was accepted
	establish listeners.EstablishFn
	rate      bucket // of requests
	once      sync.Once
}

func (p *place) Close() error {
	err := p.Conn.Close()
	p.once.Do(func() {
		p.l.b.gate.leave(p.RemoteAddr())
		p.l.drop(p)
	})
	return err
}

// session serves one MQTT connection, which has begun, to its end.
func (l *listener) session(c *conn, establish listeners.EstablishFn) {
	defer func() {
		if cause := recover(); cause != nil {
			l.b.stats.malformed.Add(1)
			c.because(clientErr)
			l.log.Warn("a packet that the broker can't parse; the connection is closed", "remote", c.RemoteAddr(), "err", cause)
			l.log.Debug("where it could not", "stack", string(debug.Stack()))
		}
		l.b.part(c)
		_ = c.Close()
		c.wait()
		l.drop(c)
		l.sessions.Done()
	}()
	if t := c.TLS(); t != nil {
		if err := t.Handshake(); err != nil {
			l.b.stats.refused.Add(1)
			l.refuseHandshake(c.RemoteAddr(), err)
			return
		}
	}
	if err := establish(l.id, c); err != nil {
		l.log.Debug("session ended", "remote", c.RemoteAddr(), "err", err)
	}
}

// Close stops accepting and ends what is under way: mochi tells the clients
// that it knows, and the others, CONNECT, handshake or request, are closed.
func (l *listener) Close(listeners.CloseFn) {
	l.mu.Lock()
	closed := l.closed
	l.closed = true
	l.mu.Unlock()
	if closed {
		return
	}
	close(l.done)
	_ = l.net.Close()
	// The library's own way takes a lock twice, and waits for ever when a session
	// ends in between.
	for _, cl := range l.b.server.Clients.GetAll() {
		if cl.Net.Listener == l.id && !cl.Closed() {
			_ = l.b.server.DisconnectClient(cl, packets.ErrServerShuttingDown)
		}
	}
	for _, c := range l.open() {
		if c, ok := c.(*conn); ok {
			_ = c.Close()
		}
	}
	l.sessions.Wait()
	for _, c := range l.open() { // HTTP
		_ = c.Close()
	}
}

// open are the connections that are under way.
func (l *listener) open() []io.Closer {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Collect(maps.Keys(l.conns))
}
