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

// listener accepts connections for mochi: wrapped, and with a recover around
// the session, because a malformed packet after CONNECT can panic in mochi's
// parser and would end the daemon.
type listener struct {
	id    string
	net   net.Listener
	auth  []string
	stats *counters
	log   *slog.Logger

	mu     sync.Mutex
	closed bool
}

// listen binds, so that "address in use" is an error of the start.
func listen(id string, l Listener, ca CA, stats *counters, log *slog.Logger) (*listener, error) {
	inner, err := net.Listen("tcp", l.Address)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", l.Address, err)
	}
	if l.TLS != nil {
		c, err := l.TLS.config(ca, l.auth())
		if err != nil {
			return nil, errors.Join(fmt.Errorf("TLS of listener %s: %w", l.Address, err), inner.Close())
		}
		inner = tls.NewListener(inner, c)
	}
	return &listener{id: id, net: inner, auth: l.auth(), stats: stats, log: log}, nil
}

func (l *listener) ID() string              { return l.id }
func (l *listener) Address() string         { return l.net.Addr().String() }
func (l *listener) Protocol() string        { return "mqtt" }
func (l *listener) Init(*slog.Logger) error { return nil }

// Serve accepts until Close. Running out of file descriptors is waited out.
func (l *listener) Serve(establish listeners.EstablishFn) {
	const pause = 100 * time.Millisecond
	for {
		c, err := l.net.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			l.log.Warn("accept", "listener", l.id, "err", err)
			time.Sleep(pause)
			continue
		}
		go l.session(c, establish)
	}
}

func (l *listener) session(c net.Conn, establish listeners.EstablishFn) {
	wrapped := newConn(c, func() { l.stats.slow.Add(1) })
	defer func() {
		if cause := recover(); cause != nil {
			l.stats.malformed.Add(1)
			l.log.Warn("a packet that the broker can't parse; the connection is closed",
				"remote", c.RemoteAddr(), "err", cause)
			l.log.Debug("where", "stack", string(debug.Stack()))
		}
		_ = wrapped.Close()
	}()
	if t, ok := c.(*tls.Conn); ok {
		if err := t.Handshake(); err != nil {
			l.stats.refused.Add(1)
			l.log.Info("TLS handshake refused", "remote", c.RemoteAddr(), "err", err)
			return
		}
	}
	if err := establish(l.id, wrapped); err != nil {
		l.log.Debug("session ended", "remote", c.RemoteAddr(), "err", err)
	}
}

// Close stops accepting and ends the listener's clients.
func (l *listener) Close(end listeners.CloseFn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	l.closed = true
	_ = l.net.Close()
	end(l.id)
}
