package modbustest

import (
	"encoding/binary"
	"time"
)

const (
	illegalFunction = 1
	illegalAddress  = 2
	illegalValue    = 3
)

// answer does what a request asks for and is the PDU that answers it; nil: the
// unit is silent.
func (s *Server) answer(n byte, pdu []byte) []byte {
	s.mu.Lock()
	r, code := parse(n, pdu)
	if code == 0 {
		s.record(r)
	}
	u := s.units[n]
	if u == nil || u.dead || u.empty() {
		s.mu.Unlock()
		return nil
	}
	if code == 0 {
		code = u.answering
	}
	if u.multiple && (r.Function == 5 || r.Function == 6) {
		code = illegalFunction
	}
	if code == 0 {
		code = u.exception(r.Table, r.Addr, r.Count)
	}
	if code != 0 {
		s.mu.Unlock()
		return []byte{pdu[0] | 0x80, code}
	}
	table := u.tables[r.Table]
	if !r.Write() {
		values := make([]uint16, r.Count)
		for i := range values {
			values[i] = table[r.Addr+uint16(i)]
		}
		s.mu.Unlock()
		return read(r, values)
	}
	for i, v := range r.Values {
		table[r.Addr+uint16(i)] = v
	}
	s.changed.Broadcast()
	s.mu.Unlock()
	if s.OnWrite != nil {
		s.OnWrite(r)
	}
	return pdu[:5] // all four writes are answered by their first five bytes
}

// read is the answer to a read.
func read(r Request, values []uint16) []byte {
	data := pack(values)
	if r.Table == Holding || r.Table == Input {
		data = data[:0]
		for _, v := range values {
			data = binary.BigEndian.AppendUint16(data, v)
		}
	}
	return append([]byte{r.Function, byte(len(data))}, data...)
}

// functions are those that the server knows, with the table that each works on.
var functions = map[byte]Table{1: Coil, 2: Discrete, 3: Holding, 4: Input, 5: Coil, 6: Holding, 15: Coil, 16: Holding}

// parse is the request that a PDU holds, or the exception that answers it.
func parse(n byte, pdu []byte) (r Request, exception byte) {
	table, known := functions[pdu[0]]
	if !known {
		return r, illegalFunction
	}
	if len(pdu) < 5 {
		return r, illegalValue
	}
	addr, second := binary.BigEndian.Uint16(pdu[1:]), binary.BigEndian.Uint16(pdu[3:])
	r = Request{Unit: n, Function: pdu[0], Table: table, Addr: addr, Count: int(second), Time: time.Now()}
	data := pdu[5:]
	switch r.Function {
	case 1, 2:
		if r.Count < 1 || r.Count > 2000 || len(data) != 0 {
			return r, illegalValue
		}
	case 3, 4:
		if r.Count < 1 || r.Count > 125 || len(data) != 0 {
			return r, illegalValue
		}
	case 5:
		if second != 0 && second != 0xFF00 || len(data) != 0 {
			return r, illegalValue
		}
		r.Count, r.Values = 1, []uint16{second & 1}
		if second == 0xFF00 {
			r.Values[0] = 1
		}
	case 6:
		if len(data) != 0 {
			return r, illegalValue
		}
		r.Count, r.Values = 1, []uint16{second}
	case 15:
		if r.Count < 1 || r.Count > 1968 || len(data) != 1+(r.Count+7)/8 || int(data[0]) != len(data)-1 {
			return r, illegalValue
		}
		r.Values = unpack(data[1:], r.Count)
	case 16:
		if r.Count < 1 || r.Count > 123 || len(data) != 1+2*r.Count || int(data[0]) != len(data)-1 {
			return r, illegalValue
		}
		for i := range r.Count {
			r.Values = append(r.Values, binary.BigEndian.Uint16(data[1+2*i:]))
		}
	}
	if int(r.Addr)+r.Count > 0x10000 {
		return r, illegalAddress
	}
	return r, 0
}
