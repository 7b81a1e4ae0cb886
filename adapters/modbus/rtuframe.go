package modbus

import (
	"encoding/binary"

	wire "edgeshadow/adapters/binary"
)

const (
	// maxFrameRTU is the longest there is (Modbus over serial line V1.02, 2.5.1).
	maxFrameRTU = 256
	// exceptionLength is that of an exception: unit, function, code, CRC.
	exceptionLength = 5
	crcLength       = 2
)

// answerLength is how long the answer to a request is, when it is no exception.
func answerLength(request []byte) int {
	quantity := int(binary.BigEndian.Uint16(request[4:]))
	switch request[1] {
	case 1, 2:
		return 3 + (quantity+7)/8 + crcLength
	case 3, 4:
		return 3 + 2*quantity + crcLength
	}
	return 6 + crcLength // a write: the address and what was written, or how many
}

// findAnswer looks for the answer to a request in what was received, whatever
// stands before it: a frame that has the request's unit and function, the
// length that it asks for, and a right CRC. It is nil while there is none;
// skipped counts the bytes in front of it.
func findAnswer(received, request []byte) (answer []byte, skipped int) {
	for at := range received {
		rest := received[at:]
		if rest[0] != request[0] || len(rest) < exceptionLength {
			continue
		}
		length := 0
		switch rest[1] {
		case request[1] | exceptionBit:
			length = exceptionLength
		case request[1]:
			length = answerLength(request)
			if request[1] <= 4 && int(rest[2]) != length-3-crcLength || request[1] > 4 && [4]byte(rest[:4]) != [4]byte(request[:4]) {
				continue
			}
		}
		if length == 0 || len(rest) < length {
			continue
		}
		if frame := rest[:length]; wire.CRC16Modbus(frame[:length-crcLength]) == binary.LittleEndian.Uint16(frame[length-crcLength:]) {
			return frame, at
		}
	}
	return nil, 0
}
