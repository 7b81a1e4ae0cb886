package broker

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime/debug"
	"sync"
	"time"

	"github.com/mochi-mqtt/server/v2/listeners"
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
	auth    []string
	b       *Broker
	log     *slog.Logger
	done    chan struct{} // closed by Close

	mu       sync.Mutex
	conns    map[*conn]struct{}
	closed   bool
	sessions sync.WaitGroup
}

// listen binds, so that "address in use" is an error of the start.
func (b *Broker) listen(id string, l Listener) (*listener, error) {
	var config *tls.Config
	if l.TLS != nil {
		var err error
		if config, err = l.TLS.config(b.ca, l.auth()); err != nil {
			return nil, fmt.Errorf("TLS of listener %s: %w", l.Address, err)
		}
	}
	inner, err := net.Listen("tcp", l.Address)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", l.Address, err)
	}
	if config != nil {
		inner = tls.NewListener(inner, config)
	}
	return &listener{
		id: id, address: l.Address, net: inner, auth: l.auth(), b: b, log: b.log.With("listener", l.Address),
		done: make(chan struct{}), conns: map[*conn]struct{}{},
	}, nil
}

func (l *listener) ID() string              { return l.id }
func (l *listener) Address() string         { return l.net.Addr().String() }
func (l *listener) Protocol() string        { return "mqtt" }
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
		l.open(c, establish)
	}
}

// open starts the session of a connection, when there is room for it.
func (l *listener) open(c net.Conn, establish listeners.EstablishFn) {
	if !l.b.gate.enter(c.RemoteAddr()) {
		l.b.stats.refused.Add(1)
		l.log.Debug("too many connections", "remote", c.RemoteAddr())
		_ = c.Close()
		return
	}
	wrapped := newConn(c, l.b.cutSlow)

	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		l.b.gate.leave(c.RemoteAddr())
		_ = c.Close()
		return
	}
	l.conns[wrapped] = struct{}{}
	l.sessions.Go(func() {
		l.session(wrapped, establish)
		l.b.gate.leave(c.RemoteAddr())
		l.mu.Lock()
		delete(l.conns, wrapped)
		l.mu.Unlock()
	})
}

func (l *listener) session(c *conn, establish listeners.EstablishFn) {
	defer func() {
		if cause := recover(); cause != nil {
			l.b.stats.malformed.Add(1)
			l.log.Warn("a packet that the broker can't parse; the connection is closed", "remote", c.RemoteAddr(), "err", cause)
			l.log.Debug("where it could not", "stack", string(debug.Stack()))
			l.b.abandon(c)
		}
		c.held.release()
		_ = c.Close()
		c.wait()
	}()
	if t := c.TLS(); t != nil {
		if err := t.Handshake(); err != nil {
			l.b.stats.refused.Add(1)
			l.log.Info("TLS handshake refused", "remote", c.RemoteAddr(), "err", err)
			return
		}
	}
	if err := establish(l.id, c); err != nil {
		l.log.Debug("session ended", "remote", c.RemoteAddr(), "err", err)
	}
}

// Close stops accepting and ends the sessions: mochi tells the clients that it
// knows, and the others, CONNECT or handshake under way, are closed.
func (l *listener) Close(end listeners.CloseFn) {
	l.mu.Lock()
	closed := l.closed
	l.closed = true
	l.mu.Unlock()
	if closed {
		return
	}
	close(l.done)
	_ = l.net.Close()
	end(l.id)
	l.mu.Lock()
	for c := range l.conns {
		_ = c.Close()
	}
	l.mu.Unlock()
	l.sessions.Wait()
}
