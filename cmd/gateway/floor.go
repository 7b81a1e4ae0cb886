package gateway

import (
	"fmt"
	"sync/atomic"
	"time"

	"edgeshadow/cmd/console"
	"edgeshadow/localshadow"
)

// telemetryFloor is the disk space below which readings wait, as a multiple of
// what the store needs to write at all: what is left is for the shadows that
// people and applications write.
const telemetryFloor = 2

// floorEvery is how often the disk is looked at.
const floorEvery = 5 * time.Second

// DiskLowError says that readings wait for disk space. The supervisor keeps the
// latest of each point and tries again.
type DiskLowError struct{ Free, Floor uint64 }

func (e *DiskLowError) Error() string {
	return fmt.Sprintf("disk almost full: %d MiB free; below %d MiB readings are not stored, only the latest is kept", e.Free>>20, e.Floor>>20)
}

// floor holds readings back while the disk is almost full.
type floor struct {
	space func() (localshadow.Space, error)
	next  atomic.Int64 // Unix nanoseconds
	low   atomic.Pointer[DiskLowError]
	held  atomic.Uint64
}

// check is nil, or why a reading can't be stored.
func (f *floor) check() error {
	err := f.room()
	if err != nil {
		f.held.Add(1)
	}
	return err
}

// room is nil, or that there is none but for shadows.
func (f *floor) room() error {
	now := time.Now()
	if next := f.next.Load(); now.UnixNano() >= next && f.next.CompareAndSwap(next, now.Add(floorEvery).UnixNano()) {
		f.look()
	}
	if low := f.low.Load(); low != nil {
		return low
	}
	return nil
}

// status is for operators. It looks for itself: without things nobody else does.
func (f *floor) status() console.Held {
	f.look()
	h := console.Held{Count: f.held.Load()}
	if low := f.low.Load(); low != nil {
		h.Why = low.Error()
	}
	return h
}

func (f *floor) look() {
	s, err := f.space()
	if err != nil || s.Free >= telemetryFloor*s.Need {
		f.low.Store(nil)
		return
	}
	f.low.Store(&DiskLowError{s.Free, telemetryFloor * s.Need})
}
