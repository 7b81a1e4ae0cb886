package modbustest

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"edgeshadow/test/ptytest"
)

// MustServe is a server on a free port of the loopback; it ends with the test.
func MustServe(tb testing.TB) *Server {
	tb.Helper()
	s := New()
	if err := s.Listen("127.0.0.1:0"); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Error(err)
		}
	})
	return s
}

// MustServeRTU is MustServe with RTU frames over TCP.
func MustServeRTU(tb testing.TB) *Server {
	tb.Helper()
	s := New()
	if err := s.ListenRTU("127.0.0.1:0"); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Error(err)
		}
	})
	return s
}

// MustServeLine is a server on a line whose plug can be pulled; Attach serves
// it again after a re-plug. It ends with the test.
func MustServeLine(tb testing.TB) (*Server, *ptytest.Line) {
	tb.Helper()
	s := New()
	line := ptytest.MustOpen(tb)
	s.Attach(line)
	tb.Cleanup(func() {
		line.Unplug()
		if err := s.Close(); err != nil {
			tb.Error(err)
		}
	})
	return s, line
}

// await waits until done, which is called with mu held, says true.
func (s *Server) await(ctx context.Context, done func() bool) error {
	stop := context.AfterFunc(ctx, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.changed.Broadcast()
	})
	defer stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	for !done() {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		s.changed.Wait()
	}
	return nil
}

// AwaitRequest waits for a request in the log that matches and returns it.
func (s *Server) AwaitRequest(ctx context.Context, matches func(Request) bool) (found Request, err error) {
	err = s.await(ctx, func() bool {
		i := slices.IndexFunc(s.log, matches)
		if i >= 0 {
			found = s.log[i]
		}
		return i >= 0
	})
	if err != nil {
		return found, fmt.Errorf("await a request among %d: %w", len(s.Log()), err)
	}
	return found, nil
}

// AwaitRequests waits until n more requests arrived than at the call.
func (s *Server) AwaitRequests(ctx context.Context, n int) error {
	want := s.Requests() + n
	if err := s.await(ctx, func() bool { return s.requests >= want }); err != nil {
		return fmt.Errorf("await %d requests, have %d: %w", n, s.Requests()-want+n, err)
	}
	return nil
}

// AwaitHolding waits until holding registers from addr on are want.
func (s *Server) AwaitHolding(ctx context.Context, unit byte, addr uint16, want ...uint16) error {
	err := s.await(ctx, func() bool {
		for i, v := range want {
			if s.unit(unit).tables[Holding][addr+uint16(i)] != v {
				return false
			}
		}
		return true
	})
	if err != nil {
		return fmt.Errorf("await holding:%d = %v, have %v: %w", addr, want, s.Holding(unit, addr, len(want)), err)
	}
	return nil
}
