package modbus

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Request is what a commissioning tool asks of a unit: to read Count addresses
// of a table from Addr on, or to write Values there.
type Request struct {
	Unit    byte          `json:"unit"`
	Table   string        `json:"table"` // coil, discrete, input or holding
	Addr    uint16        `json:"addr"`
	Count   int           `json:"count,omitempty"`   // of a read, 1 to 125 registers or 2000 bits
	Values  []uint16      `json:"values,omitempty"`  // of a write, 1 to 123; a coil is 0 or 1
	Timeout time.Duration `json:"timeout,omitempty"` // for the answer; 0 means the bus's
}

var (
	// ErrException is a unit's no: it is there, and does not do what was asked.
	ErrException = errors.New("the unit refused")
	// ErrRequest is for what no bus can be asked.
	ErrRequest = errors.New("no request of Modbus")
)

// job is a request in the queue.
type job struct {
	Request
	table table
	done  chan answer // capacity 1
}

type answer struct {
	words []uint16
	err   error
}

// Exchange has the bus do a request between its own, and returns what a read
// read. The error is ErrTimeout when no unit answers, and one that is
// ErrException when it refuses.
func (b *Bus) Exchange(ctx context.Context, r Request) ([]uint16, error) {
	t, err := r.check()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRequest, err)
	}
	j := &job{r, t, make(chan answer, 1)}
	b.mu.Lock()
	b.jobs = append(b.jobs, j) // Run may be about to begin
	b.mu.Unlock()
	b.wake()
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case a := <-j.done:
		return a.words, a.err
	}
}

func (r Request) check() (table, error) {
	t, ok := tableOf(r.Table)
	if !ok {
		return 0, noTable(r.Table)
	}
	most := maxRegisters
	if t.bits() {
		most = maxBits
	}
	count := r.Count
	if r.Values != nil {
		count = len(r.Values)
		if !t.writable() {
			return 0, fmt.Errorf("a %s is read only; coils and holding registers can be written", t)
		}
		most = maxWriteRegisters
	}
	switch {
	case count < 1 || count > most:
		return 0, fmt.Errorf("%d of %s; 1 to %d", count, t, most)
	case int(r.Addr)+count > 0x10000:
		return 0, fmt.Errorf("%s:%d and the %d after it end beyond 65535", t, r.Addr, count-1)
	}
	return t, nil
}

func (b *Bus) nextJob() *job {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.jobs) == 0 || b.tooled && len(b.polls) > 0 {
		return nil
	}
	j := b.jobs[0]
	b.jobs = b.jobs[1:]
	return j
}

// answer does what a tool asks.
func (b *Bus) answer(j *job) {
	if j.Timeout > 0 {
		b.timeout = j.Timeout
		defer func() { b.timeout = b.cfg.Timeout }()
	}
	c := newClient(j.Unit, b.cfg.serial(), b.send)
	var a answer
	if j.Values != nil {
		a.err = c.write(&point{table: j.table, addr: j.Addr}, j.Values)
	} else {
		a.words, a.err = c.read(request{table: j.table, addr: j.Addr, count: j.Count}, nil)
	}
	switch {
	case errors.Is(a.err, errSilent): // it may be the link, and it is this unit for sure
		a.err = ErrTimeout
	case errors.Is(a.err, errDown):
		b.mu.Lock()
		a.err = fmt.Errorf("%w: %s", errDown, b.stats.Err)
		b.mu.Unlock()
	}
	if code, ok := exceptionCode(a.err); ok {
		a.err = fmt.Errorf("%w: %s", ErrException, exceptionText(code))
	}
	j.done <- a
}
