package gateway_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"edgeshadow/cmd/gateway"
	"edgeshadow/localshadow"
)

// Readings wait while the disk is almost full, which is told, and go on by
// themselves when there is space again.
func TestFloor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		free := uint64(1 << 30)
		f := gateway.NewFloor(func() (localshadow.Space, error) {
			return localshadow.Space{Free: free, Need: 64 << 20}, nil
		})
		if err := f.Check(); err != nil {
			t.Errorf("with space: %v", err)
		}
		free = 0
		time.Sleep(10 * time.Second)
		var low *gateway.DiskLowError
		if err := f.Check(); !errors.As(err, &low) || low.Free != free || low.Floor != 128<<20 {
			t.Errorf("with none: %v", err)
		}
		if s := f.Status(); s.Why == "" || s.Count != 1 {
			t.Errorf("status %+v, want the reason and 1", s)
		}
		free = 1 << 30
		time.Sleep(10 * time.Second)
		if err := f.Check(); err != nil {
			t.Errorf("with space again: %v", err)
		}
		if s := f.Status(); s.Why != "" || s.Count != 1 {
			t.Errorf("status %+v, want no reason and 1", s)
		}
	})
}
