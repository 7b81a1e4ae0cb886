package gateway

import (
	"context"
	"sync"
	"time"

	"edgeshadow/cmd/console"
)

const (
	// trafficHours are kept: a day.
	trafficHours = 24
	// forecastAfter is the least that a forecast rests on: right after the
	// start everything is asked for once.
	forecastAfter = time.Hour
	forecastDays  = 30
)

// traffic keeps what the uplink carried, hour by hour, by the clock that only
// runs forward. A restart forgets it.
type traffic struct {
	began time.Time

	mu       sync.Mutex
	up, down [trafficHours]int64 // by hour since began, modulo
	seen     [2]int64            // counters at the last look, up and down
	hour     int
}

// measure looks at the uplink's counters each minute until ctx ends.
func (g *Gateway) measure(ctx context.Context) error {
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-tick.C:
			s := g.uplink.Status()
			g.traffic.add(now, s.BytesOut, s.BytesIn)
		}
	}
}

// add takes counters that only grow.
func (t *traffic) add(now time.Time, up, down int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	hour := int(now.Sub(t.began) / time.Hour)
	for h := max(t.hour+1, hour-trafficHours+1); h <= hour; h++ {
		t.up[h%trafficHours], t.down[h%trafficHours] = 0, 0
	}
	t.hour = max(t.hour, hour)
	t.up[hour%trafficHours] += up - t.seen[0]
	t.down[hour%trafficHours] += down - t.seen[1]
	t.seen = [2]int64{up, down}
}

// read is the last day's traffic and what a month of such days comes to.
func (t *traffic) read(now time.Time, up, down int64) console.Traffic {
	t.add(now, up, down)
	t.mu.Lock()
	defer t.mu.Unlock()
	var out console.Traffic
	for h := range trafficHours {
		out.UpDay += t.up[h]
		out.DownDay += t.down[h]
	}
	ran := now.Sub(t.began)
	if ran < forecastAfter {
		return out
	}
	// The current hour is not over: the window is a little less than a day.
	window := min(ran, (trafficHours-1)*time.Hour+ran%time.Hour)
	month := float64(out.UpDay+out.DownDay) * (forecastDays * 24 * time.Hour).Hours() / window.Hours()
	forecast := int64(month)
	out.Month = &forecast
	return out
}
