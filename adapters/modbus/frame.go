package modbus

import (
	"encoding/binary"
	"errors"
	"fmt"
)

const (
	// headerLength of a frame: transaction, protocol, length, unit (Modbus
	// Messaging on TCP/IP V1.0b, 3.1.3).
	headerLength = 7
	// maxFrame is the longest there is: the header and a PDU of 253 bytes.
	maxFrame = headerLength + 253
	// shortestLength is that of a unit and a function code.
	shortestLength = 2

	exceptionBit = 0x80
)

// errGarbage is for bytes that are not the answer, nor an older one: the stream
// is not in step, and the session is closed.
var errGarbage = errors.New("the answer is no Modbus frame of this request")

// cutFrame is the first frame of what was received, nil when it is not whole
// yet. Nothing is trusted: a length that no frame has is garbage.
func cutFrame(received []byte) (frame []byte, err error) {
	if len(received) < headerLength {
		return nil, nil
	}
	protocol, length := binary.BigEndian.Uint16(received[2:]), int(binary.BigEndian.Uint16(received[4:]))
	if protocol != 0 {
		return nil, fmt.Errorf("%w: protocol %#04x", errGarbage, protocol)
	}
	whole := headerLength - 1 + length
	if length < shortestLength || whole > maxFrame {
		return nil, fmt.Errorf("%w: length %d", errGarbage, length)
	}
	if len(received) < whole {
		return nil, nil
	}
	return received[:whole], nil
}

// checkFrame says whether a frame answers a request. late is an answer to an
// earlier request on the same session, to be dropped.
func checkFrame(request, frame []byte) (late bool, err error) {
	want, have := binary.BigEndian.Uint16(request), binary.BigEndian.Uint16(frame)
	if want != have {
		if int16(want-have) > 0 {
			return true, nil
		}
		return false, fmt.Errorf("%w: transaction %d after %d", errGarbage, have, want)
	}
	if request[6] != frame[6] {
		return false, fmt.Errorf("%w: unit %d instead of %d", errGarbage, frame[6], request[6])
	}
	return false, checkAnswer(request[headerLength:], frame[headerLength:])
}

// checkAnswer holds the PDU of an answer against that of its request. Only a
// function code that is the request's with the high bit set is an exception.
func checkAnswer(request, answer []byte) error {
	function := request[0]
	if answer[0] == function|exceptionBit {
		if len(answer) != 2 {
			return fmt.Errorf("%w: exception of %d bytes", errGarbage, len(answer))
		}
		return nil
	}
	if answer[0] != function {
		return fmt.Errorf("%w: function %d instead of %d", errGarbage, answer[0], function)
	}
	quantity, want := int(binary.BigEndian.Uint16(request[3:])), 5
	switch function {
	case 1, 2:
		want = 2 + (quantity+7)/8
	case 3, 4:
		want = 2 + 2*quantity
	}
	if len(answer) != want || function <= 4 && int(answer[1]) != want-2 {
		return fmt.Errorf("%w: %d bytes instead of %d", errGarbage, len(answer), want)
	}
	return nil
}
