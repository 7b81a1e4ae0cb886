package modbus

import (
	"time"

	"edgeshadow/adapters"
)

// loadWindow is the time over which utilisation is told.
const loadWindow = 10 * time.Second

// load measures how busy the bus is.
type load struct {
	window time.Time     // begin of the current window
	busy   time.Duration // in it
	last   float64       // part of the window before
}

// add counts a request.
func (l *load) add(began, ended time.Time) {
	l.roll(began)
	l.busy += ended.Sub(began)
}

// roll begins a new window when the current one is over.
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

// Stats is what the bus did since the start.
func (b *Bus) Stats() adapters.BusStats {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.load.roll(time.Now())
	s := b.stats
	s.Bus, s.Type, s.Address, s.Utilisation = b.name, b.cfg.Type, b.cfg.Address(), b.load.last
	for _, u := range b.units {
		state := "closed"
		if u.open {
			state = "open"
		}
		s.Units = append(s.Units, adapters.UnitStats{Unit: int(u.id), Breaker: state, Requests: u.requests, Errors: u.errors})
	}
	return s
}
