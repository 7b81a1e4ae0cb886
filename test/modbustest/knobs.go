package modbustest

import (
	"time"
)

// Knobs are the ways in which the server as a whole misbehaves. The counters
// count down with each answer that they spoil.
type Knobs struct {
	Delay    time.Duration // before each answer
	Sessions int           // accept that many at a time and close others at once; 0: any number
	Drop     int           // leave the next n requests unanswered
	Reset    int           // send half of the next n answers, then reset the connection
	Garbage  int           // send bytes that are no Modbus instead of the next n answers
	Late     int           // send the next n answers with the answer after it, late
	Wrong    int           // answer the next n requests with a function code that nobody asked for
	Foreign  int           // on a line, send the frames of another unit before the next n answers
}

// Turn changes the knobs.
func (s *Server) Turn(change func(k *Knobs)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.knobs)
}

// Fail makes each request that touches an address answer an exception; code 0
// heals it.
func (s *Server) Fail(unit byte, t Table, addr uint16, code byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unit(unit).exceptions[t][addr] = code
}

// FailAll makes each request to a unit answer an exception; code 0 heals it.
func (s *Server) FailAll(unit byte, code byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unit(unit).answering = code
}

// OnlyMultiple makes a unit refuse functions 5 and 6, as some do.
func (s *Server) OnlyMultiple(unit byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unit(unit).multiple = true
}

// Dead makes a unit silent, or brings it back.
func (s *Server) Dead(unit byte, dead bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unit(unit).dead = dead
}

// spoil is what is to happen to one answer.
type spoil int

const (
	whole spoil = iota
	dropped
	reset
	garbage
	late
	wrong
	foreign
)

// spoiled takes one from the first counter that is turned.
func (k *Knobs) spoiled() spoil {
	for _, c := range []struct {
		left *int
		how  spoil
	}{{&k.Drop, dropped}, {&k.Reset, reset}, {&k.Garbage, garbage}, {&k.Late, late}, {&k.Wrong, wrong}, {&k.Foreign, foreign}} {
		if *c.left > 0 {
			*c.left--
			return c.how
		}
	}
	return whole
}
