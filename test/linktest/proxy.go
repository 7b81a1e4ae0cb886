package linktest

import (
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Proxy carries connections to a target. New makes one, Listen starts it.
type Proxy struct {
	target   string
	wg       sync.WaitGroup
	accepted atomic.Int64

	mu       sync.Mutex
	turned   sync.Cond // mode or closed changed
	address  string
	listener net.Listener // nil while refused
	closed   bool
	mode     mode
	conns    map[net.Conn]bool
	lossy    bool // bytes may have been swallowed: what lives can't go on
}

// New is a proxy to a target address, host:port.
func New(target string) *Proxy {
	p := &Proxy{target: target, conns: map[net.Conn]bool{}}
	p.turned.L = &p.mu
	return p
}

// Listen serves on an address until Close; 127.0.0.1:0 takes a free port.
func (p *Proxy) Listen(addr string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.listen(addr)
}

func (p *Proxy) listen(addr string) error {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	p.listener, p.address = l, l.Addr().String()
	p.wg.Go(func() { p.accept(l) })
	return nil
}

// Addr is where the proxy listens.
func (p *Proxy) Addr() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.address
}

// Accepted counts connections.
func (p *Proxy) Accepted() int64 { return p.accepted.Load() }

// Close ends everything. Twice is fine.
func (p *Proxy) Close() error {
	p.mu.Lock()
	p.closed = true
	p.turned.Broadcast()
	p.resetAll()
	var err error
	if p.listener != nil {
		err = p.listener.Close()
	}
	p.mu.Unlock()
	p.wg.Wait()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

func (p *Proxy) accept(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		p.accepted.Add(1)
		p.wg.Go(func() { p.carry(c) })
	}
}

// track remembers a connection, unless the link is cut.
func (p *Proxy) track(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.mode == cut || p.mode == refused {
		reset(c)
		return false
	}
	p.conns[c] = true
	return true
}

func (p *Proxy) forget(c net.Conn) {
	p.mu.Lock()
	delete(p.conns, c)
	p.mu.Unlock()
	_ = c.Close()
}

func (p *Proxy) carry(client net.Conn) {
	if !p.track(client) {
		return
	}
	defer p.forget(client)
	server, err := net.DialTimeout("tcp", p.target, 5*time.Second)
	if err != nil || !p.track(server) {
		return
	}
	defer p.forget(server)
	var both sync.WaitGroup
	pump := func(to, from net.Conn, down bool) {
		p.pump(to, from, down)
		_ = to.Close()
		_ = from.Close()
	}
	both.Go(func() { pump(server, client, false) })
	both.Go(func() { pump(client, server, true) })
	both.Wait()
}

// pump carries one direction; down is from the target to the client.
func (p *Proxy) pump(to, from net.Conn, down bool) {
	buf := make([]byte, 16<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 && p.lets(down) {
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

func (p *Proxy) resetAll() {
	for c := range p.conns {
		reset(c)
	}
}

func reset(c net.Conn) {
	if t, ok := c.(*net.TCPConn); ok {
		_ = t.SetLinger(0)
	}
	_ = c.Close()
}
