package modbustest

import (
	"slices"
)

// Table is one of the four address spaces of a unit.
type Table string

const (
	Coil     Table = "coil"
	Discrete Table = "discrete"
	Input    Table = "input"
	Holding  Table = "holding"
)

// unit is one device: its tables and how it fails. Bits are words 0 and 1.
type unit struct {
	tables     map[Table]map[uint16]uint16
	exceptions map[Table]map[uint16]byte
	dead       bool
	multiple   bool // it does not know how to write one
	answering  byte // an exception for every request; 0: none
}

func (s *Server) unit(n byte) *unit {
	u := s.units[n]
	if u == nil {
		u = &unit{tables: map[Table]map[uint16]uint16{}, exceptions: map[Table]map[uint16]byte{}}
		for _, t := range []Table{Coil, Discrete, Input, Holding} {
			u.tables[t], u.exceptions[t] = map[uint16]uint16{}, map[uint16]byte{}
		}
		s.units[n] = u
	}
	return u
}

func (s *Server) set(n byte, t Table, addr uint16, values []uint16) {
	s.mu.Lock()
	defer s.mu.Unlock()
	table := s.unit(n).tables[t]
	for i, v := range values {
		table[addr+uint16(i)] = v
	}
	s.changed.Broadcast()
}

func (s *Server) get(n byte, t Table, addr uint16, count int) []uint16 {
	s.mu.Lock()
	defer s.mu.Unlock()
	values := make([]uint16, count)
	if u := s.units[n]; u != nil {
		for i := range values {
			values[i] = u.tables[t][addr+uint16(i)]
		}
	}
	return values
}

// SetHolding sets holding registers from addr on.
func (s *Server) SetHolding(unit byte, addr uint16, values ...uint16) {
	s.set(unit, Holding, addr, values)
}

// SetInput sets input registers from addr on.
func (s *Server) SetInput(unit byte, addr uint16, values ...uint16) { s.set(unit, Input, addr, values) }

// SetCoil sets coils from addr on.
func (s *Server) SetCoil(unit byte, addr uint16, values ...bool) {
	s.set(unit, Coil, addr, words(values))
}

// SetDiscrete sets discrete inputs from addr on.
func (s *Server) SetDiscrete(unit byte, addr uint16, values ...bool) {
	s.set(unit, Discrete, addr, words(values))
}

// Holding are n holding registers; what was never set is 0.
func (s *Server) Holding(unit byte, addr uint16, n int) []uint16 {
	return s.get(unit, Holding, addr, n)
}

// Input are n input registers; what was never set is 0.
func (s *Server) Input(unit byte, addr uint16, n int) []uint16 { return s.get(unit, Input, addr, n) }

// Coil are n coils; what was never set is off.
func (s *Server) Coil(unit byte, addr uint16, n int) []bool { return bits(s.get(unit, Coil, addr, n)) }

// Forget takes n addresses out of a table: they do not exist any more.
func (s *Server) Forget(unit byte, t Table, addr uint16, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range n {
		delete(s.unit(unit).tables[t], addr+uint16(i))
	}
}

func words(values []bool) []uint16 {
	out := make([]uint16, len(values))
	for i, v := range values {
		if v {
			out[i] = 1
		}
	}
	return out
}

func bits(values []uint16) []bool {
	out := make([]bool, len(values))
	for i, v := range values {
		out[i] = v != 0
	}
	return out
}

// pack puts bits into bytes as the wire has them: the first in the lowest bit.
func pack(values []uint16) []byte {
	out := make([]byte, (len(values)+7)/8)
	for i, v := range values {
		if v != 0 {
			out[i/8] |= 1 << (i % 8)
		}
	}
	return out
}

func unpack(data []byte, n int) []uint16 {
	out := make([]uint16, n)
	for i := range out {
		out[i] = uint16(data[i/8]>>(i%8)) & 1
	}
	return out
}

// exception is what the addresses of a request answer; 0: nothing stands against it.
func (u *unit) exception(t Table, addr uint16, n int) byte {
	for i := range n {
		at := addr + uint16(i)
		if code := u.exceptions[t][at]; code != 0 {
			return code
		}
		if _, exists := u.tables[t][at]; !exists {
			return illegalAddress
		}
	}
	return 0
}

func (u *unit) empty() bool {
	return !slices.ContainsFunc([]Table{Coil, Discrete, Input, Holding}, func(t Table) bool { return len(u.tables[t]) > 0 })
}
