package registry

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"edgeshadow/localshadow"
	"edgeshadow/localshadow/shadow"
)

// Config is the section "registry" of the configuration.
type Config struct {
	// ExpireAfter is for how long nobody may touch something before it is removed.
	ExpireAfter Expiry `yaml:"expire_after"`
}

// Expiry is counted in time that the gateway runs; 0: never.
type Expiry struct {
	// Things are entries that were not changed, and whose shadows were not.
	Things time.Duration `yaml:"things"`
	// Shadows are those that were not changed. They are deleted as by a client: at
	// the cloud too.
	Shadows time.Duration `yaml:"shadows"`
}

// FieldError is a fault of the configuration; Path is below the section.
type FieldError struct{ Path, Text string }

func (e *FieldError) Error() string { return e.Path + ": " + e.Text }

// leastExpiry is far above what is lost of the count in a power cut.
const leastExpiry = time.Hour

// Validate tells every fault.
func (c Config) Validate() []error {
	var faults []error
	for path, d := range map[string]time.Duration{"expire_after.things": c.ExpireAfter.Things, "expire_after.shadows": c.ExpireAfter.Shadows} {
		if d != 0 && d < leastExpiry {
			faults = append(faults, &FieldError{path, fmt.Sprintf("%s; want at least %s, or 0 for never", d, leastExpiry)})
		}
	}
	return faults
}

// seenPrefix is of when a shadow was last changed: r/n/<thing>/<shadow>, an age
// of the store in seconds.
const seenPrefix = "r/n/"

// sweepEvery is how often what has expired is looked for, and the count is
// saved: a power cut gives everything that much more time.
const sweepEvery = 10 * time.Minute

// expiry knows when shadows were last changed.
type expiry struct {
	mu    sync.Mutex
	seen  map[shadow.ID]time.Duration
	dirty map[shadow.ID]bool
}

func (e *expiry) read(store *localshadow.Store) error {
	e.seen, e.dirty = map[shadow.ID]time.Duration{}, map[shadow.ID]bool{}
	return store.View(func(v localshadow.Reader) error {
		return v.Scan([]byte(seenPrefix), func(key, value []byte) error {
			thing, name, _ := strings.Cut(strings.TrimPrefix(string(key), seenPrefix), "/")
			n, _ := binary.Uvarint(value)
			e.seen[shadow.ID{Thing: thing, Name: name}] = time.Duration(n) * time.Second
			return nil
		})
	})
}

func (r *Registry) expires() bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.cfg.ExpireAfter != Expiry{}
}

// Touch notes that a shadow was changed.
func (r *Registry) Touch(id shadow.ID) {
	if !r.expires() {
		return
	}
	r.expiry.mu.Lock()
	defer r.expiry.mu.Unlock()
	r.expiry.seen[id] = r.store.Age()
	r.expiry.dirty[id] = true
}

// Shadows is the shadow service.
type Shadows interface {
	All(fn func(id shadow.ID) error) error
	Delete(ctx context.Context, id shadow.ID, payload []byte) ([]byte, error)
}

// Run removes what has expired, until ctx ends.
func (r *Registry) Run(ctx context.Context, shadows Shadows) error {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		if err := r.Sweep(ctx, shadows); err != nil && ctx.Err() == nil {
			r.log.Warn("what has expired is still there", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Sweep removes what has expired by now. A shadow that was never seen, because
// nothing expired so far, counts from now on.
func (r *Registry) Sweep(ctx context.Context, shadows Shadows) error {
	if !r.expires() {
		return nil
	}
	r.mu.RLock()
	limit := r.cfg.ExpireAfter
	r.mu.RUnlock()
	age := r.store.Age()
	newest := map[string]time.Duration{}
	var old, gone []shadow.ID
	there := map[shadow.ID]bool{}
	err := shadows.All(func(id shadow.ID) error {
		there[id] = true
		r.expiry.mu.Lock()
		defer r.expiry.mu.Unlock()
		seen, ok := r.expiry.seen[id]
		if !ok {
			seen = age
			r.expiry.seen[id], r.expiry.dirty[id] = age, true
		}
		newest[id.Thing] = max(newest[id.Thing], seen)
		if limit.Shadows > 0 && age-seen >= limit.Shadows {
			old = append(old, id)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, id := range old {
		_, err := shadows.Delete(ctx, id, nil)
		var refused *shadow.Error
		if err != nil && !errors.As(err, &refused) { // refused: it is gone already
			return fmt.Errorf("delete shadow %s: %w", id, err)
		}
		delete(there, id)
		r.log.Info("shadow expired", "thing", id.Thing, "shadow", id.Name, "after", limit.Shadows)
	}
	if limit.Things > 0 {
		for _, t := range r.List() {
			if t.Configured || age-max(t.Touched, newest[t.Name]) < limit.Things {
				continue
			}
			if err := r.Delete(ctx, t.Name, t.Version); err != nil {
				return err
			}
			r.log.Info("thing expired", "thing", t.Name, "after", limit.Things)
		}
	}
	r.expiry.mu.Lock()
	for id := range r.expiry.seen {
		if !there[id] {
			gone = append(gone, id)
			delete(r.expiry.seen, id)
			delete(r.expiry.dirty, id)
		}
	}
	r.expiry.mu.Unlock()
	return r.save(ctx, gone)
}

// save keeps what was seen, and the age that it is counted by.
func (r *Registry) save(ctx context.Context, gone []shadow.ID) error {
	r.expiry.mu.Lock()
	dirty := slices.Collect(maps.Keys(r.expiry.dirty))
	ages := map[shadow.ID]time.Duration{}
	for _, id := range dirty {
		ages[id] = r.expiry.seen[id]
	}
	clear(r.expiry.dirty)
	r.expiry.mu.Unlock()
	for part := range slices.Chunk(dirty, 100) {
		err := r.store.Update(ctx, func(tx *localshadow.Tx) error {
			for _, id := range part {
				if err := tx.Set(seenKey(id), binary.AppendUvarint(nil, uint64(ages[id]/time.Second))); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	for part := range slices.Chunk(gone, 100) {
		err := r.store.Update(ctx, func(tx *localshadow.Tx) error {
			for _, id := range part {
				tx.Delete(seenKey(id))
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return r.store.SaveAge(ctx)
}

func seenKey(id shadow.ID) []byte { return []byte(seenPrefix + id.Thing + "/" + id.Name) }

// Prepare takes a new configuration.
func (r *Registry) Prepare(cfg Config) (commit, discard func(), err error) {
	return func() {
		r.mu.Lock()
		r.cfg = cfg
		r.mu.Unlock()
	}, func() {}, nil
}
