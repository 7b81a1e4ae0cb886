package modbustest

import (
	"bufio"
	"encoding/binary"
	"io"
	"net"
	"time"
)

const (
	headerLength = 7   // transaction, protocol, length, unit
	maxLength    = 254 // of unit and PDU together
)

// session serves one connection until it ends.
func (s *Server) session(c net.Conn) {
	in := bufio.NewReader(c)
	var held []byte // answers that are sent late
	for {
		var header [headerLength]byte
		if _, err := io.ReadFull(in, header[:]); err != nil {
			return
		}
		length := int(binary.BigEndian.Uint16(header[4:]))
		if binary.BigEndian.Uint16(header[2:]) != 0 || length < 2 || length > maxLength {
			return // the stream is not in step: nothing that follows can be trusted
		}
		request := make([]byte, length-1)
		if _, err := io.ReadFull(in, request); err != nil {
			return
		}
		s.mu.Lock()
		delay, how := s.knobs.Delay, s.knobs.spoiled()
		s.mu.Unlock()
		if delay > 0 {
			time.Sleep(delay)
		}
		answer := s.answer(header[6], request)
		if answer == nil || how == dropped {
			continue
		}
		if how == wrong {
			answer[0] = 0x2B
		}
		frame := frame(header, answer)
		switch how {
		case late:
			held = append(held, frame...)
			continue
		case garbage:
			frame = []byte("HTTP/1.1 400 Bad Request\r\n\r\n")
		case reset:
			c.Write(frame[:len(frame)/2])
			if tcp, ok := c.(*net.TCPConn); ok {
				tcp.SetLinger(0) // RST instead of FIN
			}
			return
		}
		if _, err := c.Write(append(held, frame...)); err != nil {
			return
		}
		held = nil
	}
}

func frame(header [headerLength]byte, pdu []byte) []byte {
	binary.BigEndian.PutUint16(header[4:], uint16(len(pdu)+1))
	return append(header[:], pdu...)
}
