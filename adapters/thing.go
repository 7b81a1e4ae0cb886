package adapters

import (
	"log/slog"
	"reflect"
	"sync"
	"time"
)

// thing is what the Supervisor knows of one device.
type thing struct {
	name   string
	cfg    Thing
	driver Driver
	owner  *Supervisor
	log    *slog.Logger

	report, write chan struct{} // nudges

	mu      sync.Mutex
	points  map[string]*point
	learned int                       // of the points
	wants   map[string]*want          // by point: what is desired
	pending map[string]map[string]any // by shadow and point: what the sink does not have yet
	urgent  bool                      // of what is pending something does not wait for the pace
	paced   time.Time                 // when the sink was last given something

	started time.Time
	known   bool // heard of, or given up, since the start
	online  bool
	since   time.Time // when online became what it is
	heard   time.Time // when the device was last heard
	told    told
	untold  int // how often the shadow lost what was told

	desired  map[string]any   // as Actuate said it last
	asked    map[string]Asked // since when, of points with a max_age; nil: not loaded
	unsaved  bool             // asked is not what is kept
	counters Counters
}

// point is what is known of one point.
type point struct {
	path    string
	shadow  string // that the last reading was for
	cfg     Point
	every   time.Duration
	value   any // the last good one; nil before the first
	quality Quality
	at      time.Time // of the last reading, good or not

	sent   any       // what was last given to be reported; nil before the first
	sentAt time.Time // when
}

func newThing(name string, cfg Thing, d Driver, owner *Supervisor, log *slog.Logger) *thing {
	t := &thing{
		name: name, cfg: cfg, driver: d, owner: owner, log: log,
		report: make(chan struct{}, 1), write: make(chan struct{}, 1),
		points: map[string]*point{}, wants: map[string]*want{}, pending: map[string]map[string]any{},
	}
	for path, p := range cfg.AllPoints() {
		t.points[path] = t.newPoint(path, p)
	}
	return t
}

// newPoint is a point with what the thing says for all of its points.
func (t *thing) newPoint(path string, cfg Point) *point {
	if cfg.Deadband == nil {
		cfg.Deadband = t.cfg.Deadband
	}
	if cfg.Heartbeat == 0 {
		cfg.Heartbeat = t.cfg.Heartbeat
	}
	return &point{path: path, cfg: cfg, every: t.cfg.EveryOf(cfg), quality: Good}
}

// inherit takes over what is known of the thing as it was configured before.
func (t *thing) inherit(old *thing) {
	old.mu.Lock()
	defer old.mu.Unlock()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.known, t.online, t.since, t.heard, t.counters = old.known, old.online, old.since, old.heard, old.counters
	for path, p := range t.points {
		if o := old.points[path]; o != nil && reflect.DeepEqual(o.cfg, p.cfg) {
			p.value, p.quality, p.at, p.shadow = o.value, o.quality, o.at, o.shadow
			if p.value != nil { // the old reporter may have failed with it
				t.toReport(time.Now(), p)
			}
		}
	}
	t.want(old.desired, nil)
}

// start begins the time within which the device is to be heard first.
func (t *thing) start(now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.started = now
	for _, p := range t.points {
		if p.at.IsZero() {
			p.at = now
		}
	}
}

// take stores readings of this thing.
func (t *thing) take(now time.Time, readings []Reading) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, r := range readings {
		t.takeOne(now, r, false)
	}
	nudge(t.report)
}

// takeOne stores a reading; word says that it is a device's word on a desired
// value, which is reported however small the change is. t.mu is held.
func (t *thing) takeOne(now time.Time, r Reading, word bool) {
	r = bounded(r)
	p := t.points[r.Path]
	if p == nil {
		if p = t.learn(r); p == nil {
			return
		}
	}
	p.quality, p.at = r.Quality, now
	if r.Quality.Answered() {
		t.hear(now, r.Time)
	}
	if !r.Quality.HasValue() {
		t.counters.Failed++
	} else {
		t.counters.Readings++
		p.value, p.shadow = r.Value, r.Shadow
		t.wants[r.Path].confirm(r.Value)
		if p.worthReporting(now, word) {
			t.urgent = t.urgent || word || !isNumeric(p.value)
			t.toReport(now, p)
		}
	}
}

// hear notes that the device was heard at a time.
func (t *thing) hear(now, at time.Time) {
	t.heard = at
	if t.known && t.online {
		t.retryNow(now, false)
		return
	}
	if t.known {
		t.log.Info("online again", "after", now.Sub(t.since).Round(time.Second))
	}
	t.known, t.online, t.since = true, true, now
	t.retryNow(now, true)
}

// silent notes that the device has not been heard for too long.
func (t *thing) silent(now time.Time) {
	if (t.known && !t.online) || now.Before(t.silentAt()) {
		return
	}
	t.known, t.online, t.since = true, false, now
	t.counters.Outages++
	t.log.Warn("offline", "silent_for", now.Sub(t.lastSign()).Round(time.Millisecond))
}

// lastSign is when the device was last heard, or when waiting for it began.
func (t *thing) lastSign() time.Time {
	if t.heard.After(t.started) {
		return t.heard
	}
	return t.started
}

func (t *thing) silentAt() time.Time { return t.lastSign().Add(t.cfg.Silence()) }

// staleAt is when the last reading of p is too old to be called good.
func (t *thing) staleAt(p *point) time.Time {
	return p.at.Add(max(t.cfg.Silence(), 3*p.every))
}

// fresh says whether p's value is what the device holds, as far as one can know.
func (t *thing) fresh(p *point, now time.Time) bool {
	return p.value != nil && p.quality.HasValue() && now.Before(t.staleAt(p))
}

// qualities are those of the points that are not good.
func (t *thing) qualities(now time.Time) map[string]Quality {
	out := map[string]Quality{}
	for path, p := range t.points {
		quality := p.quality
		if quality == Good && !now.Before(t.staleAt(p)) {
			quality = Stale
		}
		if w := t.wants[path]; quality == Good && w != nil && w.clamped && w.state == done {
			quality = Clamped
		}
		if quality != Good {
			out[path] = quality
		}
	}
	return out
}

// worthReporting applies deadband and heartbeat to the value of p.
func (p *point) worthReporting(now time.Time, word bool) bool {
	if p.sent == nil {
		return true
	}
	if p.cfg.Heartbeat > 0 && now.Sub(p.sentAt) >= p.cfg.Heartbeat {
		return true
	}
	if p.value == p.sent {
		return false
	}
	return p.cfg.Deadband == nil || word || p.cfg.Deadband.exceeded(p.sent, p.value)
}
