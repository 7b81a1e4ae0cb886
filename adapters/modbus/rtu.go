package modbus

import (
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"
)

const (
	// readSlice is how long a read of a line waits at most before it looks
	// whether the bus is to end.
	readSlice = 100 * time.Millisecond
	// maxDrain bounds how much stale input is dropped before a request: a line
	// that never rests is no reason not to speak.
	maxDrain = 4096
	// streamSilences is maxSilences of a line behind a converter: it takes one
	// connection at a time, and would answer an old one first.
	streamSilences = 10
)

// line carries bytes: *port.Port, or a stream.
type line interface {
	// Read reads what is there, waiting for it up to timeout; silence is
	// os.ErrDeadlineExceeded.
	Read(to []byte, timeout time.Duration) (int, error)
	Write(frame []byte, timeout time.Duration) error
	// Flush drops what was received and not read.
	Flush() error
	Close() error
}

// rtu speaks Modbus RTU over a line: a link.
type rtu struct {
	line     line
	wire     func(characters int) time.Duration // that characters take; 0: it is in the timeout
	stop     atomic.Bool
	buf      [2 * maxFrameRTU]byte
	discards uint64

	silences int // timeouts since anything was heard
	patience int // of them, after which the link counts as dead; 0: it never does

	// A unit that did not answer in time may yet: until then it is asked
	// nothing that the late answer would seem to answer.
	late      byte
	lateUntil time.Time
}

func newRTU(l line, wire func(int) time.Duration) *rtu { return &rtu{line: l, wire: wire} }

// newStream is RTU over a connection. One that is dead shows no other way than
// by silence; a serial port tells.
func newStream(l line) *rtu {
	return &rtu{line: l, wire: func(int) time.Duration { return 0 }, patience: streamSilences}
}

var errInterrupted = errors.New("the bus ends")

func (r *rtu) exchange(request []byte, timeout time.Duration) ([]byte, error) {
	if err := r.drain(request[0]); err != nil {
		return nil, err
	}
	if err := r.line.Write(request, timeout+r.wire(len(request))); err != nil {
		return nil, fmt.Errorf("send: %w", err)
	}
	wait := timeout + r.wire(len(request)+answerLength(request))
	deadline := time.Now().Add(wait)
	have := 0
	for {
		n, err := r.read(r.buf[have:], deadline)
		have += n
		if n > 0 {
			r.silences = 0
		}
		if answer, skipped := findAnswer(r.buf[:have], request); answer != nil {
			r.discards += uint64(min(skipped, 1))
			return answer, nil
		}
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			r.discards += uint64(min(have, 1))
			r.late, r.lateUntil = request[0], time.Now().Add(wait)
			if r.silences++; r.silences == r.patience {
				return nil, fmt.Errorf("%d requests in a row: %w", r.silences, errSilent)
			}
			return nil, ErrTimeout
		case err != nil:
			return nil, err
		case have == len(r.buf):
			// Nothing in it is the answer; one may have begun in the second half.
			have = copy(r.buf[:], r.buf[have-maxFrameRTU:])
			r.discards++
		}
	}
}

// read reads what comes before deadline.
func (r *rtu) read(to []byte, deadline time.Time) (int, error) {
	for !r.stop.Load() {
		left := time.Until(deadline)
		n, err := r.line.Read(to, max(0, min(left, readSlice)))
		if n == 0 && errors.Is(err, os.ErrDeadlineExceeded) && left > readSlice {
			continue
		}
		return n, err
	}
	return 0, errInterrupted
}

// drain drops what was heard and nobody waited for: an answer that came too
// late, noise, the frames of another master.
func (r *rtu) drain(unit byte) error {
	if unit == r.late && time.Now().Before(r.lateUntil) {
		if err := r.awaitLate(); err != nil {
			return err
		}
	}
	dropped := 0
	for dropped < maxDrain {
		n, err := r.line.Read(r.buf[:], 0)
		dropped += n
		if n == 0 {
			if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
				return err
			}
			break
		}
	}
	r.discards += uint64(min(dropped, 1))
	return r.line.Flush()
}

// awaitLate waits for the late answer of a unit, as long as it may come.
func (r *rtu) awaitLate() error {
	n, err := r.read(r.buf[:], r.lateUntil)
	r.lateUntil = time.Time{}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return nil
	}
	for n > 0 && err == nil { // until the line rests
		r.discards++
		n, err = r.read(r.buf[:], time.Now().Add(max(r.wire(4), 2*frameEnd)))
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return nil
	}
	return err
}

func (r *rtu) discarded() uint64 {
	n := r.discards
	r.discards = 0
	return n
}

func (r *rtu) interrupt() { r.stop.Store(true) }

func (r *rtu) Close() error { return r.line.Close() }
