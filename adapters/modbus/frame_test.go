package modbus_test

import (
	"bytes"
	"encoding/binary"
	"testing"

	wire "edgeshadow/adapters/binary"
	"edgeshadow/adapters/modbus"
)

// frame is a frame of a line.
func frame(body ...byte) []byte {
	return binary.LittleEndian.AppendUint16(body, wire.CRC16Modbus(body))
}

func TestFindAnswer(t *testing.T) {
	// The example of the specification's appendix: 02 07 has the CRC 41 12.
	if got := wire.CRC16Modbus([]byte{2, 7}); got != 0x1241 {
		t.Fatalf("CRC of 02 07 = %#04x, want 0x1241", got)
	}
	read := frame(1, 3, 0, 0, 0, 2)
	answer := frame(1, 3, 4, 0, 1, 0, 2)
	write := frame(1, 6, 0, 11, 2, 43)
	for name, c := range map[string]struct {
		received, request, want []byte
		skipped                 int
	}{
		"Whole":             {answer, read, answer, 0},
		"Exception":         {frame(1, 0x83, 2), read, frame(1, 0x83, 2), 0},
		"Write":             {write, write, write, 0},
		"NotYet":            {answer[:6], read, nil, 0},
		"Nothing":           {nil, read, nil, 0},
		"AfterNoise":        {append([]byte{0xFF, 0, 1, 3, 4}, answer...), read, answer, 5},
		"AfterForeign":      {append(frame(2, 3, 4, 0, 1, 0, 2), answer...), read, answer, 9},
		"AfterOwnEcho":      {append(bytes.Clone(read), answer...), read, answer, 8},
		"WrongCRC":          {append(bytes.Clone(answer[:8]), 0), read, nil, 0},
		"OtherUnit":         {frame(2, 3, 4, 0, 1, 0, 2), read, nil, 0},
		"OtherFunction":     {frame(1, 4, 4, 0, 1, 0, 2), read, nil, 0},
		"OtherLength":       {frame(1, 3, 2, 0, 1), read, nil, 0},
		"OtherException":    {frame(1, 0x84, 2), read, nil, 0},
		"WriteOfAnother":    {frame(1, 6, 0, 12, 2, 43), write, nil, 0},
		"TruncatedThenGood": {append(bytes.Clone(answer[:4]), answer...), read, answer, 4},
	} {
		t.Run(name, func(t *testing.T) {
			got, skipped := modbus.FindAnswer(c.received, c.request)
			if !bytes.Equal(got, c.want) || skipped != c.skipped {
				t.Errorf("% x after %d, want % x after %d", got, skipped, c.want, c.skipped)
			}
		})
	}
}

// FuzzFindAnswer: what is taken for an answer is one, wherever noise stands,
// and an answer is found behind any noise that holds none.
func FuzzFindAnswer(f *testing.F) {
	f.Add(byte(1), byte(3), uint16(0), uint16(2), []byte{1, 3, 4}, []byte{0, 1, 0, 2})
	f.Add(byte(7), byte(1), uint16(9), uint16(16), []byte{7, 0x81, 2, 0, 0}, []byte{0xFF, 0xFF})
	f.Add(byte(7), byte(16), uint16(9), uint16(1), []byte{}, []byte{})
	f.Fuzz(func(t *testing.T, unit, function byte, addr, count uint16, noise, data []byte) {
		functions := []byte{1, 2, 3, 4, 5, 6, 15, 16}
		function = functions[int(function)%len(functions)]
		noise = noise[:min(len(noise), 512)]
		count = 1 + count%100
		request := frame(unit, function, byte(addr>>8), byte(addr), byte(count>>8), byte(count))
		check := func(received []byte) ([]byte, int) {
			got, skipped := modbus.FindAnswer(received, request)
			if got == nil {
				return nil, 0
			}
			n := len(got)
			if got[0] != unit || got[1]&0x7F != function || binary.LittleEndian.Uint16(got[n-2:]) != wire.CRC16Modbus(got[:n-2]) {
				t.Fatalf("% x was taken for an answer to % x", got, request)
			}
			if !bytes.Equal(received[skipped:skipped+n], got) {
				t.Fatalf("% x does not stand at %d of % x", got, skipped, received)
			}
			return got, skipped
		}
		inNoise, _ := check(noise)
		size := map[byte]int{1: int(count+7) / 8, 2: int(count+7) / 8, 3: 2 * int(count), 4: 2 * int(count)}[function]
		body := []byte{unit, function, byte(size)}
		if function > 4 {
			body = bytes.Clone(request[:6])
		} else {
			payload := make([]byte, size)
			copy(payload, data)
			body = append(body, payload...)
		}
		answer := frame(body...)
		got, _ := check(append(bytes.Clone(noise), answer...))
		if got == nil {
			t.Fatalf("% x was not found behind % x", answer, noise)
		}
		if inNoise == nil && len(got) == len(answer) && got[1] == function && function <= 4 && len(noise) == 0 && !bytes.Equal(got, answer) {
			t.Fatalf("% x was found instead of % x", got, answer)
		}
	})
}

// FuzzFrame: a frame of Modbus TCP is cut where its header says, or refused;
// whatever follows a request's function is held against the request.
func FuzzFrame(f *testing.F) {
	f.Add([]byte{0, 1, 0, 0, 0, 3, 1, 0x83, 2}, []byte{3, 0, 0, 0, 2})
	f.Add([]byte{0, 1, 0, 0, 0, 7, 1, 3, 4, 0, 1, 0, 2}, []byte{3, 0, 0, 0, 2})
	f.Fuzz(func(t *testing.T, received, request []byte) {
		cut, err := modbus.CutFrame(received)
		if cut == nil || err != nil {
			return
		}
		if len(cut) > 260 || len(cut) < 8 || len(cut) != 6+int(binary.BigEndian.Uint16(cut[4:])) {
			t.Fatalf("a frame of %d bytes: % x", len(cut), cut)
		}
		if len(request) < 5 || request[0] == 0 || request[0] > 16 {
			return
		}
		answer := cut[7:]
		if err := modbus.CheckAnswer(request, answer); err == nil {
			if answer[0] == request[0]|0x80 && len(answer) == 2 {
				return
			}
			if answer[0] != request[0] {
				t.Fatalf("% x answers % x", answer, request)
			}
		}
	})
}
