package upstream

import (
	"context"
	"time"

	"golang.org/x/time/rate"
)

// What AWS lets a connection do is 100 messages a second, both ways together,
// and 512 KiB (SHADOW 27). Messages that come need their part of both.
const (
	DefaultPublishRate = 80 // a second
	bytesRate          = 400 << 10
	bytesBurst         = 512 << 10 // a message has at most 128 KiB
)

// pace is the token buckets of a connection; nil is without bounds.
type pace struct{ messages, bytes *rate.Limiter }

func newPace(perSecond int) *pace {
	if perSecond == 0 {
		return nil
	}
	return &pace{rate.NewLimiter(rate.Limit(perSecond), perSecond), rate.NewLimiter(bytesRate, bytesBurst)}
}

// wait takes a message's share, in the order of the calls.
func (p *pace) wait(ctx context.Context, lost <-chan struct{}, size int) error {
	if p == nil {
		return nil
	}
	now := time.Now()
	delay := max(p.messages.ReserveN(now, 1).DelayFrom(now), p.bytes.ReserveN(now, min(size, bytesBurst)).DelayFrom(now))
	if delay <= 0 {
		return nil
	}
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-lost:
		return ErrDown
	case <-ctx.Done():
		return ctx.Err()
	}
}
