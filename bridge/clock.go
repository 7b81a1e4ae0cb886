package bridge

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"time"

	"edgeshadow/localshadow"
)

// clock knows what time it is in the cloud. The wall clock is never asked: each
// answer carries the cloud's time, from which the distance to the time since
// the start of this process is learned. So writes that were made before the
// first contact are dated backwards, also after a restart: the distance of a
// boot is kept with its number. Writes of a boot that never had contact have no time.
type clock struct {
	store   *localshadow.Store
	boot    uint64
	began   time.Time
	at      time.Time // of the last measurement
	unsaved bool
	boots   map[uint64]distance
}

// distance is the cloud's time at the start of a process, and the error of that.
type distance struct {
	At  int64 `json:"at"` // nanoseconds since the epoch
	Err int64 `json:"err"`
}

const (
	clockKey = "y/clock"
	maxBoots = 16     // whose distance is kept
	drift    = 10_000 // one nanosecond in so many: what a cheap oscillator goes wrong, with room
)

func openClock(store *localshadow.Store, now time.Time) (clock, error) {
	c := clock{store: store, boot: store.Boot(), began: now, boots: map[uint64]distance{}}
	err := store.View(func(r localshadow.Reader) error {
		data, err := r.Get([]byte(clockKey))
		if errors.Is(err, localshadow.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		_ = json.Unmarshal(data, &c.boots) // damaged: as if there had been no contact
		return nil
	})
	delete(c.boots, c.boot) // of another life of this store
	return c, err
}

// learn takes an answer in: timestamp is the cloud's, in its whole seconds.
func (c *clock) learn(timestamp int64, sent, now time.Time) {
	if timestamp <= 0 {
		return
	}
	earliest := timestamp*int64(time.Second) - int64(now.Sub(c.began))
	latest := (timestamp+1)*int64(time.Second) - int64(sent.Sub(c.began))
	d := distance{At: (earliest + latest) / 2, Err: (latest - earliest) / 2}
	old, known := c.boots[c.boot]
	if known && d.Err > old.Err+int64(now.Sub(c.at))/drift {
		return
	}
	c.boots[c.boot], c.at = d, now
	c.unsaved = c.unsaved || !known
}

// save stores the distances, without a wait: that of a boot that ends before
// they are durable is lost.
func (c *clock) save(ctx context.Context) {
	if !c.unsaved {
		return
	}
	c.unsaved = false
	for len(c.boots) > maxBoots {
		delete(c.boots, slices.Min(slices.Collect(maps.Keys(c.boots))))
	}
	data, err := json.Marshal(c.boots)
	if err != nil {
		return
	}
	c.store.Submit(ctx, func(tx *localshadow.Tx) error { return tx.Set([]byte(clockKey), data) }, func(error) {})
}

// within tells whether a time of the cloud, in its seconds, is surely not longer
// ago than d. Before the first contact of this boot nobody knows.
func (c *clock) within(timestamp int64, d time.Duration) bool {
	now, blur, ok := c.date(stamp{c.boot, int64(time.Since(c.began))})
	return ok && now+blur-timestamp*int64(time.Second) < int64(d)
}

// date is the cloud's time of a moment in a boot; ok is false when nothing is
// known of that boot.
func (c *clock) date(s stamp) (at, err int64, ok bool) {
	d, ok := c.boots[s.Boot]
	return d.At + s.At, d.Err + s.At/drift, ok
}
