package fieldtest

import (
	"context"
	"sync"
	"testing"
	"time"

	"edgeshadow/adapters"
)

// MustHang runs a driver whose first reading, which provoke brings about, takes
// its time to be taken. Meanwhile the driver has to be busy, since began; it goes
// on when MustHang returns. Stop ends it.
func MustHang(t *testing.T, d adapters.Driver, provoke func()) (began time.Time, stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var first sync.Once
	hung, release := make(chan *time.Time), make(chan struct{})
	done := make(chan error, 1)
	go func() {
		done <- d.Run(ctx, func(...adapters.Reading) {
			first.Do(func() {
				hung <- d.Stats().BusySince
				<-release
			})
		})
	}()
	provoke()
	since := <-hung
	if since == nil {
		t.Fatal("a driver that hangs rests")
	}
	if now := d.Stats().BusySince; now == nil || !now.Equal(*since) {
		t.Errorf("a driver that hangs is busy since %v, want %v", now, since)
	}
	release <- struct{}{}
	return *since, func() error {
		cancel()
		return <-done
	}
}
