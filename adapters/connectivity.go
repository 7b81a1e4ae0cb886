package adapters

import (
	"context"
	"encoding/json"
	"maps"
	"strconv"
	"time"
)

const (
	// ConnectivityShadow is the named shadow in which a thing's link is told.
	ConnectivityShadow = "connectivity"
	// qualityPause is the least time between two updates that tell of
	// qualities only: a point that fails every second poll is no update per poll.
	qualityPause = 10 * time.Second
	// qualityHold is how long after any update that is done the first time:
	// the points of a device that comes back do so one after the other.
	qualityHold = time.Second
	// seenEvery is how often last_seen moves while nothing else does.
	seenEvery = 10 * time.Minute
)

// told is what the connectivity shadow holds.
type told struct {
	times   int // how often it was told since the start
	at      time.Time
	pausing time.Time // no update that tells of qualities only before
	online  bool
	since   time.Time
	quality map[string]Quality
	refused map[string]string
}

// tell updates the connectivity shadow when something is to be told.
func (t *thing) tell(ctx context.Context, sink Sink) error {
	for {
		now := time.Now()
		t.mu.Lock()
		t.silent(now)
		if t.tellAt(now).After(now) {
			t.mu.Unlock()
			return nil
		}
		next, reported := t.telling(now)
		untold := t.untold
		t.mu.Unlock()
		if err := sink.Report(ctx, t.name, ConnectivityShadow, reported); err != nil {
			return err
		}
		t.mu.Lock()
		if t.untold == untold {
			t.told = next
		}
		t.mu.Unlock()
	}
}

// tellAt is when the shadow is to be updated, as things stand. t.mu is held.
func (t *thing) tellAt(now time.Time) time.Time {
	switch {
	case !t.known:
		return t.silentAt()
	case t.told.times == 0, t.told.online != t.online, !t.told.since.Equal(t.since), !maps.Equal(t.told.refused, t.refusals()):
		return now
	case !maps.Equal(t.told.quality, t.qualities(now)):
		if t.told.times == 1 {
			return now
		}
		return latest(t.told.at.Add(qualityHold), t.told.pausing)
	case t.online:
		return t.told.at.Add(seenEvery)
	}
	return now.Add(seenEvery) // an offline thing has nothing new to tell
}

// telling is what to tell and what the shadow holds then. The first time clears
// what an earlier run may have left; what stands now follows in a second update.
func (t *thing) telling(now time.Time) (told, map[string]any) {
	reported := map[string]any{"online": t.online, "since": unix(t.since)}
	if !t.heard.IsZero() {
		reported["last_seen"] = unix(t.heard)
	}
	next := told{times: t.told.times + 1, at: now, pausing: t.told.pausing, online: t.online, since: t.since}
	if t.told.times > 1 && t.told.online == t.online {
		next.pausing = now.Add(qualityPause)
	}
	if t.told.times == 0 {
		reported["quality"], reported["refused"] = nil, nil
		return next, reported
	}
	reported["counters"] = t.counters.values()
	next.quality, next.refused = t.qualities(now), t.refusals()
	difference(reported, "quality", t.told.quality, next.quality)
	difference(reported, "refused", t.told.refused, next.refused)
	return next, reported
}

// difference sets key to what changes was into is: nil where something goes.
func difference[V ~string](reported map[string]any, key string, was, is map[string]V) {
	if len(is) == 0 {
		if len(was) > 0 {
			reported[key] = nil
		}
		return
	}
	changes := map[string]any{}
	for k := range was {
		if _, still := is[k]; !still {
			changes[k] = nil
		}
	}
	for k, v := range is {
		if was[k] != v {
			changes[k] = string(v)
		}
	}
	if len(changes) > 0 {
		reported[key] = changes
	}
}

// values are the counters as a shadow holds them. They move when something else
// is told.
func (c Counters) values() map[string]any {
	return map[string]any{
		"readings": count(c.Readings), "failed": count(c.Failed), "writes": count(c.Writes),
		"refused": count(c.Refused), "outages": count(c.Outages),
	}
}

func count(n uint64) json.Number { return json.Number(strconv.FormatUint(n, 10)) }

func unix(at time.Time) json.Number { return json.Number(strconv.FormatInt(at.Unix(), 10)) }
