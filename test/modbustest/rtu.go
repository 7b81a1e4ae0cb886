package modbustest

import (
	"encoding/binary"
	"io"
	"time"
)

// serveRTU serves the frames of a line.
func (s *Server) serveRTU(line io.ReadWriter) {
	var received, held []byte // held: answers that are sent late
	buf := make([]byte, 256)
	for {
		n, err := line.Read(buf)
		if err != nil {
			return
		}
		received = append(received, buf[:n]...)
		for {
			request, rest := cutRequest(received)
			received = rest
			if request == nil {
				break
			}
			answer, how := s.respondRTU(request)
			if how == late {
				held = append(held, answer...)
				continue
			}
			if len(answer) == 0 {
				continue
			}
			if _, err := line.Write(append(held, answer...)); err != nil {
				return
			}
			held = nil
			if how == reset {
				if c, ok := line.(io.Closer); ok {
					_ = c.Close()
				}
				return
			}
		}
	}
}

// respondRTU is what goes onto the line after a request.
func (s *Server) respondRTU(request []byte) ([]byte, spoil) {
	s.mu.Lock()
	delay, how := s.knobs.Delay, s.knobs.spoiled()
	s.mu.Unlock()
	if delay > 0 {
		time.Sleep(delay)
	}
	pdu := s.answer(request[0], request[1:])
	if pdu == nil || how == dropped {
		return nil, how
	}
	if how == wrong {
		pdu[0] = 0x2B
	}
	frame := frameRTU(request[0], pdu)
	switch how {
	case garbage:
		frame = []byte{request[0], request[1], 0xFE, 0x00, 0x55, 0xAA, 0x0D}
	case reset:
		frame = frame[:len(frame)/2]
	case foreign:
		other := frameRTU(request[0]+1, pdu)
		broken := append([]byte{request[0], request[1]}, other...) // and noise that begins as the answer does
		frame = append(broken, frame...)
	}
	return frame, how
}

// frameRTU puts the unit in front and the CRC behind.
func frameRTU(unit byte, pdu []byte) []byte {
	frame := append([]byte{unit}, pdu...)
	return binary.LittleEndian.AppendUint16(frame, crc16(frame))
}

// cutRequest is the first request in what was received, without its CRC. Bytes
// that begin none are dropped.
func cutRequest(received []byte) (request, rest []byte) {
	for len(received) >= 8 {
		length := 8
		if f := received[1]; f == 15 || f == 16 {
			length = 9 + int(received[6])
		}
		if len(received) < length {
			return nil, received
		}
		body := received[:length-2]
		if crc16(body) == binary.LittleEndian.Uint16(received[length-2:]) {
			return append([]byte(nil), body...), received[length:]
		}
		received = received[1:]
	}
	return nil, received
}

// crc16 is the CRC of a frame, by the table-free algorithm of the
// specification (Modbus over serial line V1.02, 6.2.2).
func crc16(data []byte) uint16 {
	sum := uint16(0xFFFF)
	for _, b := range data {
		sum ^= uint16(b)
		for range 8 {
			odd := sum & 1
			sum >>= 1
			if odd == 1 {
				sum ^= 0xA001
			}
		}
	}
	return sum
}
