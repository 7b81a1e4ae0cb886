package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"edgeshadow/cmd/console"
	"edgeshadow/localshadow"
)

const (
	// trafficHours are kept: a day.
	trafficHours = 24
	// forecastAfter is the least that a forecast rests on: right after the
	// start everything is asked for once.
	forecastAfter = time.Hour
	forecastDays  = 30
)

// trafficKey holds the traffic of the last day of earlier runs.
var trafficKey = []byte("g/traffic")

// traffic keeps what the uplink carried, hour by hour, by the clock that only
// runs forward and that stands still while the gateway does not run. It is stored
// with each full hour and at the end, so that a power cut takes an hour at most.
type traffic struct {
	began time.Time // as if earlier runs had gone before this one without a pause

	mu       sync.Mutex
	up, down [trafficHours]int64 // by hour since began, modulo
	seen     [2]int64            // counters at the last look, up and down
	hour     int
}

// carried is traffic as it is stored.
type carried struct {
	Ran  time.Duration       `json:"ran"`
	Up   [trafficHours]int64 `json:"up"` // by hour, modulo
	Down [trafficHours]int64 `json:"down"`
}

// openTraffic goes on where earlier runs ended.
func (g *Gateway) openTraffic() error {
	var was carried
	err := g.store.View(func(r localshadow.Reader) error {
		data, err := r.Get(trafficKey)
		if err != nil {
			return err
		}
		return json.Unmarshal(data, &was)
	})
	if err != nil && !errors.Is(err, localshadow.ErrNotFound) {
		return fmt.Errorf("read the traffic of the last day: %w", err)
	}
	g.traffic.resume(g.began, was)
	return nil
}

// measure looks at the uplink's counters each minute until ctx ends.
func (g *Gateway) measure(ctx context.Context) error {
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for {
		var now time.Time
		select {
		case <-ctx.Done():
			now = time.Now()
		case now = <-tick.C:
		}
		s := g.uplink.Status()
		next := g.traffic.add(now, s.BytesOut, s.BytesIn)
		if next || ctx.Err() != nil {
			// The store is open until all parts have ended.
			if err := g.saveTraffic(context.WithoutCancel(ctx), now); err != nil {
				g.log.Warn("the traffic of the last day is not stored", "err", err)
			}
		}
		if ctx.Err() != nil {
			return nil
		}
	}
}

func (g *Gateway) saveTraffic(ctx context.Context, now time.Time) error {
	data, err := json.Marshal(g.traffic.carried(now))
	if err != nil {
		return err
	}
	return g.store.Update(ctx, func(tx *localshadow.Tx) error { return tx.Set(trafficKey, data) })
}

// resume begins where earlier runs ended, at the time of this start.
func (t *traffic) resume(began time.Time, was carried) {
	t.began, t.hour = began.Add(-was.Ran), int(was.Ran/time.Hour)
	t.up, t.down = was.Up, was.Down
}

func (t *traffic) carried(now time.Time) carried {
	t.mu.Lock()
	defer t.mu.Unlock()
	return carried{now.Sub(t.began), t.up, t.down}
}

// add takes counters that only grow, and says whether another hour began.
func (t *traffic) add(now time.Time, up, down int64) (next bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	hour := int(now.Sub(t.began) / time.Hour)
	for h := max(t.hour+1, hour-trafficHours+1); h <= hour; h++ {
		t.up[h%trafficHours], t.down[h%trafficHours] = 0, 0
	}
	next = hour > t.hour
	t.hour = max(t.hour, hour)
	t.up[hour%trafficHours] += up - t.seen[0]
	t.down[hour%trafficHours] += down - t.seen[1]
	t.seen = [2]int64{up, down}
	return next
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
