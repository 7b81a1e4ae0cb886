package modbustest

import (
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"time"
)

// maxLog is how many requests the log holds: the oldest go first.
const maxLog = 20_000

// Request is one request of a client, as it stands in the log.
type Request struct {
	Unit     byte
	Function byte
	Table    Table
	Addr     uint16
	Count    int      // addresses that it touches
	Values   []uint16 // of a write; bits are 0 and 1
	Time     time.Time
}

// String is "unit 1: 3 holding:0+10", with "= [5]" after it for a write.
func (r Request) String() string {
	s := fmt.Sprintf("unit %d: %d %s:%d+%d", r.Unit, r.Function, r.Table, r.Addr, r.Count)
	if r.Values != nil {
		s += fmt.Sprintf(" = %v", r.Values)
	}
	return s
}

// Write says whether the request changes something.
func (r Request) Write() bool { return r.Values != nil }

// Server is a Modbus server. New makes one, Listen starts it over TCP,
// ListenRTU over TCP with the frames of a line, Attach on a line.
type Server struct {
	// OnWrite, when set before Listen, is called after each write that was
	// done and before its answer, so that a simulation can react.
	OnWrite func(Request)

	mu       sync.Mutex
	changed  *sync.Cond // on mu: the log, a table or the number of sessions
	units    map[byte]*unit
	knobs    Knobs
	log      []Request
	requests int // all there were
	accepted int // sessions, all there were
	conns    map[net.Conn]bool
	open     bool // Listen was called, and not Close since
	listener net.Listener
	wg       sync.WaitGroup
}

// New is a server without units that does not listen yet.
func New() *Server {
	s := &Server{units: map[byte]*unit{}, conns: map[net.Conn]bool{}}
	s.changed = sync.NewCond(&s.mu)
	return s
}

// Listen serves at addr (127.0.0.1:0 takes a free port) until Close. It may be
// called again after Close: the server is back with the tables it had.
func (s *Server) Listen(addr string) error { return s.listen(addr, s.session) }

// ListenRTU is Listen with RTU frames over TCP, as a transparent converter has
// them.
func (s *Server) ListenRTU(addr string) error {
	return s.listen(addr, func(c net.Conn) { s.serveRTU(c) })
}

// Attach serves RTU frames on a line until it can't be read any more, or the
// server closes it; it returns at once.
func (s *Server) Attach(line io.ReadWriter) {
	s.wg.Go(func() { s.serveRTU(line) })
}

func (s *Server) listen(addr string, serve func(net.Conn)) error {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.listener, s.open = l, true
	s.mu.Unlock()
	s.wg.Go(func() { s.accept(l, serve) })
	return nil
}

// Addr is where the server listens, or listened.
func (s *Server) Addr() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listener == nil {
		return ""
	}
	return s.listener.Addr().String()
}

// Close ends all sessions and waits for them.
func (s *Server) Close() error {
	s.mu.Lock()
	s.open = false
	var err error
	if s.listener != nil {
		err = s.listener.Close()
	}
	for c := range s.conns {
		c.Close()
	}
	s.mu.Unlock()
	s.wg.Wait()
	if errors.Is(err, net.ErrClosed) {
		err = nil // twice is fine
	}
	return err
}

func (s *Server) accept(l net.Listener, serve func(net.Conn)) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		if !s.admit(c) {
			c.Close()
			continue
		}
		s.wg.Go(func() {
			serve(c)
			c.Close()
			s.mu.Lock()
			delete(s.conns, c)
			s.changed.Broadcast()
			s.mu.Unlock()
		})
	}
}

// admit counts a session in, unless there are as many as the server takes.
func (s *Server) admit(c net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.open || s.knobs.Sessions > 0 && len(s.conns) >= s.knobs.Sessions {
		return false
	}
	s.conns[c] = true
	s.accepted++
	s.changed.Broadcast()
	return true
}

// Sessions are how many there are now, and how many there were in all.
func (s *Server) Sessions() (now, all int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns), s.accepted
}

// Requests are how many requests arrived since the server was made.
func (s *Server) Requests() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requests
}

// Log is a copy of the requests that arrived since the last ClearLog.
func (s *Server) Log() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.log)
}

// ClearLog forgets the requests of the log.
func (s *Server) ClearLog() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.log = nil
}

func (s *Server) record(r Request) {
	s.requests++
	if len(s.log) == maxLog {
		s.log = slices.Delete(s.log, 0, maxLog/2)
	}
	s.log = append(s.log, r)
	s.changed.Broadcast()
}
