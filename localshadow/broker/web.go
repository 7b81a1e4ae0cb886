package broker

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"log"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

// Bounds of a connection that carries HTTP. Each request of it has the time
// anew, so that one that dribbles is cut off.
const (
	headerTimeout = 10 * time.Second // also for the TLS handshake
	bodyTimeout   = 20 * time.Second // headers included
	answerTimeout = 40 * time.Second // the wait for the disk included
	idleTimeout   = 60 * time.Second
	maxHeader     = 32 << 10
	farewell      = time.Second // for requests under way at the end
)

// web serves the connections of the ws and http listeners. It is a net.Listener
// of what these accept: rules, gate and counters are the same for all.
type web struct {
	server *http.Server
	conns  chan net.Conn
	done   chan struct{} // closed by Close
}

func newWeb(b *Broker) *web {
	w := &web{conns: make(chan net.Conn), done: make(chan struct{})}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	w.server = &http.Server{
		Handler:           http.HandlerFunc(b.serveWeb),
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       bodyTimeout,
		WriteTimeout:      answerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		Protocols:         protocols,
		ErrorLog:          log.New(webLog{b}, "", 0),
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			if t, ok := c.(*tls.Conn); ok {
				c = t.NetConn()
			}
			return context.WithValue(ctx, placeKey{}, c)
		},
	}
	return w
}

// webLog is where the HTTP server logs: a certificate that is refused is for the
// operator, the rest is for debugging.
type webLog struct{ b *Broker }

func (l webLog) Write(line []byte) (int, error) {
	text := string(bytes.TrimSpace(line))
	l.b.log.Debug(text)
	if _, from, refused := strings.Cut(text, "TLS handshake error from "); refused && strings.Contains(text, "certificate") {
		remote, why, _ := strings.Cut(from, ": ")
		l.b.bar("https", remote, "", why)
	}
	return len(line), nil
}

type placeKey struct{}

// take hands a connection over; the server closes it.
func (w *web) take(c net.Conn) {
	select {
	case w.conns <- c:
	case <-w.done:
		_ = c.Close()
	}
}

func (w *web) Accept() (net.Conn, error) {
	select {
	case c := <-w.conns:
		return c, nil
	case <-w.done:
		return nil, net.ErrClosed
	}
}

func (w *web) Close() error   { return nil }
func (w *web) Addr() net.Addr { return &net.TCPAddr{} }

// run serves until stop.
func (w *web) run() error {
	if err := w.server.Serve(w); !errors.Is(err, net.ErrClosed) && !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// stop lets requests that are under way end, for a short time.
func (w *web) stop() {
	close(w.done)
	ctx, cancel := context.WithTimeout(context.Background(), farewell)
	defer cancel()
	_ = w.server.Shutdown(ctx)
	_ = w.server.Close()
}

// serveWeb serves a request by the rules of the listener that it came to.
func (b *Broker) serveWeb(w http.ResponseWriter, r *http.Request) {
	p := r.Context().Value(placeKey{}).(*place)
	switch {
	case p.rules.loopback && foreign(r):
		http.Error(w, "a page of another site asks", http.StatusForbidden)
	case p.rules.protocol == WS:
		b.serveWebSocket(w, r, p)
	case crossOrigin.Check(r) != nil:
		deny(w, http.StatusForbidden, "ForbiddenException", "Forbidden")
	default:
		b.serveHTTP(w, r, p)
	}
}

// crossOrigin keeps what a page of another site sends away from what a browser
// shows by itself, a certificate for example. It looks at what browsers alone send.
var crossOrigin = http.NewCrossOriginProtection()

// foreign tells whether a browser asks for a page of another machine. What
// listens on loopback trusts who runs here, and not what their browsers show.
func foreign(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin == "" {
		return false
	}
	u, err := url.Parse(origin)
	if err != nil {
		return true
	}
	if u.Hostname() == "localhost" {
		return false
	}
	addr, err := netip.ParseAddr(u.Hostname())
	return err != nil || !addr.IsLoopback()
}
