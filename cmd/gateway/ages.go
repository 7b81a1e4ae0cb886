package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"edgeshadow/adapters"
	"edgeshadow/bridge"
	"edgeshadow/localshadow"
	"edgeshadow/localshadow/shadow"
)

// ages tells the field how old commands are: by the time that the store was
// open, which a restart does not set back, and by what the cloud says of the
// time before they came. It is adapters.Ages.
type ages struct {
	store *localshadow.Store
	sync  *bridge.Reconciler // nil without an uplink
}

const agesPrefix = "f/"

func (a ages) Age() time.Duration { return a.store.Age() }

func (a ages) Asked(thing, path string, v any) (age time.Duration, stamp int64) {
	want, err := shadow.Of(v)
	if a.sync == nil || err != nil {
		return 0, 0
	}
	return a.sync.Asked(shadow.ID{Thing: thing}, strings.Split(path, "."), want)
}

func (a ages) Load(thing string) (asked map[string]adapters.Asked, err error) {
	err = a.store.View(func(r localshadow.Reader) error {
		data, err := r.Get([]byte(agesPrefix + thing))
		if err != nil {
			return err
		}
		return json.Unmarshal(data, &asked)
	})
	if errors.Is(err, localshadow.ErrNotFound) {
		err = nil
	}
	return asked, err
}

// Save keeps the age of the store with what is asked, so that the one can't be
// older than the other after a power cut.
func (a ages) Save(ctx context.Context, thing string, asked map[string]adapters.Asked) error {
	if err := a.store.SaveAge(ctx); err != nil {
		return err
	}
	return a.store.Update(ctx, func(tx *localshadow.Tx) error {
		key := []byte(agesPrefix + thing)
		if len(asked) == 0 {
			tx.Delete(key)
			return nil
		}
		data, err := json.Marshal(asked)
		if err != nil {
			return err
		}
		return tx.Set(key, data)
	})
}

// saveAgeEvery is how much of the age a power cut may take back: a command
// seems at most so much younger than it is.
const saveAgeEvery = time.Minute

// grow saves the age now and then while a point has a max_age.
func (g *Gateway) grow(ctx context.Context) error {
	tick := time.NewTicker(saveAgeEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if !g.field.Waits() {
			continue
		}
		if err := g.store.SaveAge(ctx); err != nil && ctx.Err() == nil {
			g.log.Warn("the age of the store is not saved; it is tried again", "err", err)
		}
	}
}

// askedAnew are the desired leaves of a change that have another stamp and the
// value that they had: somebody asked again.
func askedAnew(c localshadow.Change) []string {
	if c.Prev == nil || c.Doc == nil {
		return nil
	}
	var anew []string
	stamps(c.Doc.Metadata.Desired, nil, func(path []string, stamp any) {
		was, known := at(c.Prev.Metadata.Desired, path)
		before, _ := at(c.Prev.State.Desired, path)
		after, _ := at(c.Doc.State.Desired, path)
		if known && !shadow.Equal(was, stamp) && shadow.Equal(before, after) {
			anew = append(anew, strings.Join(path, "."))
		}
	})
	return anew
}

// stamps visits the leaves of metadata that are no list.
func stamps(o *shadow.Object, path []string, fn func(path []string, stamp any)) {
	for key, v := range o.All() {
		here := append(slices.Clip(path), key)
		switch v := v.(type) {
		case *shadow.Object:
			stamps(v, here, fn)
		case shadow.Timestamp:
			fn(here, v)
		}
	}
}

func at(o *shadow.Object, path []string) (v any, ok bool) {
	v = o
	for _, key := range path {
		inner, object := v.(*shadow.Object)
		if !object {
			return nil, false
		}
		if v, ok = inner.Get(key); !ok {
			return nil, false
		}
	}
	return v, ok
}
