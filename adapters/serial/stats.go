package serial

import (
	"context"
	"time"

	"edgeshadow/adapters"
)

// loadWindow is the time over which utilisation is told.
const loadWindow = 10 * time.Second

// load measures how busy the line is.
type load struct {
	window time.Time // begin of the current window
	busy   time.Duration
	last   float64 // part of the window before
}

func (l *load) roll(now time.Time) {
	past := now.Sub(l.window)
	if past < loadWindow {
		return
	}
	l.last = 0
	if past < 2*loadWindow {
		l.last = min(1, l.busy.Seconds()/loadWindow.Seconds())
	}
	l.window, l.busy = now, 0
}

// count notes that n characters went over the line.
func (d *Driver) count(n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.busy.roll(time.Now())
	d.busy.busy += d.setup.line.Time(n)
	d.stats.Frames, d.stats.Discarded = d.framer.stats.Frames, d.framer.stats.Broken
	d.stats.SkippedBytes = d.framer.stats.Skipped
}

// turn tells a watchdog when the driver began what it is at; zero: it rests.
func (d *Driver) turn(began time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.stats.BusySince = nil
	if !began.IsZero() {
		d.stats.BusySince = &began
	}
}

// Stats is what the port did since the start.
func (d *Driver) Stats() adapters.BusStats {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.busy.roll(time.Now())
	s := d.stats
	s.Type, s.Address, s.Utilisation = "serial", d.name, d.busy.last
	return s
}

// Chunk is a piece of what goes over a line: one of its fields is set.
type Chunk struct {
	Raw   []byte `json:"raw,omitempty"`   // heard
	Frame []byte `json:"frame,omitempty"` // whole, and of the configured form
	Sent  []byte `json:"sent,omitempty"`
}

// tap is one who listens in.
type tap struct{ chunks chan Chunk }

// maxChunks is how many chunks wait for a listener who is slow.
const maxChunks = 256

// Tap gives what goes over the line to next until ctx ends or next fails. A
// listener who is slow misses chunks; the line does not wait.
func (d *Driver) Tap(ctx context.Context, next func(Chunk) error) error {
	t := &tap{chunks: make(chan Chunk, maxChunks)}
	d.mu.Lock()
	d.taps[t] = true
	d.mu.Unlock()
	defer func() {
		d.mu.Lock()
		delete(d.taps, t)
		d.mu.Unlock()
	}()
	for {
		select {
		case <-ctx.Done():
			return nil
		case c := <-t.chunks:
			if err := next(c); err != nil {
				return err
			}
		}
	}
}

func (d *Driver) tapped(c Chunk) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for t := range d.taps {
		copied := Chunk{append([]byte(nil), c.Raw...), append([]byte(nil), c.Frame...), append([]byte(nil), c.Sent...)}
		select {
		case t.chunks <- copied:
		default:
		}
	}
}
