package registry

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"edgeshadow/localshadow"
)

// prefix of the entries; the thing's name follows.
const prefix = "r/t/"

// Registry holds the entries. Its methods may be called from many goroutines;
// what they change is durable when they return.
type Registry struct {
	// Changed is told of each entry that changed, came or went. Set it before
	// the first change.
	Changed func(name string)

	cfg    Config
	store  *localshadow.Store
	log    *slog.Logger
	expiry expiry

	changing sync.Mutex // one change at a time
	mu       sync.RWMutex
	things   map[string]Thing
	fixed    map[string]Thing // of the configuration
	types    map[string]Type  // those described
}

// Open reads the entries of a store. A nil log discards.
func Open(cfg Config, store *localshadow.Store, log *slog.Logger) (*Registry, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	r := &Registry{cfg: cfg, store: store, log: log, things: map[string]Thing{}}
	err := store.View(func(v localshadow.Reader) error {
		return v.Scan([]byte(prefix), func(key, value []byte) error {
			var t Thing
			if err := json.Unmarshal(value, &t); err != nil {
				return fmt.Errorf("read %q: %w", key, err)
			}
			r.things[t.Name] = t
			return nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("registry: %w", err)
	}
	if r.types, err = readTypes(store); err != nil {
		return nil, fmt.Errorf("registry: %w", err)
	}
	return r, r.expiry.read(store)
}

// Configure says which things a file configures; they win over entries of the
// same name.
func (r *Registry) Configure(things []Thing) {
	fixed := make(map[string]Thing, len(things))
	for _, t := range things {
		t.Configured, t.Version = true, 1
		fixed[t.Name] = t
	}
	r.mu.Lock()
	r.fixed = fixed
	r.mu.Unlock()
}

// Get is an entry, or a *Error.
func (r *Registry) Get(name string) (Thing, error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if t, ok := r.fixed[name]; ok {
		return t, nil
	}
	if t, ok := r.things[name]; ok {
		return t, nil
	}
	return Thing{}, notFound(name)
}

// List are all entries, by name.
func (r *Registry) List() []Thing {
	r.mu.RLock()
	defer r.mu.RUnlock()
	all := maps.Clone(r.things)
	maps.Copy(all, r.fixed)
	return slices.SortedFunc(maps.Values(all), func(a, b Thing) int { return cmp.Compare(a.Name, b.Name) })
}

// Create makes an entry. One that is there and equal is no error, as at AWS.
func (r *Registry) Create(ctx context.Context, name, kind string, attributes map[string]string) (Thing, error) {
	return r.change(ctx, name, func(old *Thing) (*Thing, error) {
		t := Thing{Name: name, ID: uuid(), Type: kind, Attributes: attributes, Version: 1, Created: time.Now().UTC().Truncate(time.Second)}
		if err := t.check(); err != nil {
			return nil, err
		}
		switch {
		case old == nil && len(r.things) >= maxThings:
			return nil, refuse(429, "LimitExceededException", "%d things; a gateway holds no more", len(r.things))
		case old == nil:
			return &t, nil
		case old.Type != kind || !maps.Equal(old.Attributes, attributes):
			return nil, refuse(409, "ResourceAlreadyExistsException", "Thing %s already exists with another type or other attributes", name)
		}
		return old, nil
	})
}

// Update changes an entry.
func (r *Registry) Update(ctx context.Context, name string, c Change) (Thing, error) {
	return r.change(ctx, name, func(old *Thing) (*Thing, error) {
		if old == nil {
			return nil, notFound(name)
		}
		t, err := old.apply(c)
		return &t, err
	})
}

// Put makes an entry, or changes the one that is there.
func (r *Registry) Put(ctx context.Context, name string, c Change) (Thing, error) {
	return r.change(ctx, name, func(old *Thing) (*Thing, error) {
		if old == nil {
			if c.Expected != 0 {
				return nil, notFound(name)
			}
			old = &Thing{Name: name, ID: uuid(), Created: time.Now().UTC().Truncate(time.Second)}
		}
		t, err := old.apply(c)
		return &t, err
	})
}

// Delete removes an entry; one that is not there is no error, as at AWS. Its
// shadows stay (R9).
func (r *Registry) Delete(ctx context.Context, name string, expected int64) error {
	_, err := r.change(ctx, name, func(old *Thing) (*Thing, error) {
		if old != nil && expected != 0 && expected != old.Version {
			return nil, conflict(expected, old.Version)
		}
		return nil, nil
	})
	return err
}

// change replaces an entry by what do makes of it; nil removes it.
func (r *Registry) change(ctx context.Context, name string, do func(old *Thing) (*Thing, error)) (Thing, error) {
	r.changing.Lock()
	defer r.changing.Unlock()
	r.mu.RLock()
	_, configured := r.fixed[name]
	have, ok := r.things[name]
	r.mu.RUnlock()
	if configured {
		return Thing{}, refuse(409, "ConflictingResourceUpdateException", "Thing %s is configured by a file, which says what it is", name)
	}
	var old *Thing
	if ok {
		old = &have
	}
	next, err := do(old)
	if err != nil || next == old {
		return have, err
	}
	if next != nil && next.Type != have.Type {
		if err := r.admit(next.Type); err != nil {
			return have, err
		}
	}
	if next == nil && old == nil {
		return Thing{}, nil
	}
	var value []byte
	if next != nil {
		next.Touched = r.store.Age()
		if value, err = json.Marshal(next); err != nil {
			return Thing{}, err
		}
	}
	err = r.store.Update(ctx, func(tx *localshadow.Tx) error {
		if next == nil {
			tx.Delete([]byte(prefix + name))
			return nil
		}
		return tx.Set([]byte(prefix+name), value)
	})
	if err != nil {
		return Thing{}, fmt.Errorf("registry: %w", err)
	}
	r.mu.Lock()
	if next == nil {
		delete(r.things, name)
	} else {
		r.things[name] = *next
	}
	r.mu.Unlock()
	if r.Changed != nil {
		r.Changed(name)
	}
	if next == nil {
		return Thing{}, nil
	}
	return *next, nil
}

// uuid is a random one (RFC 9562, 5.4).
func uuid() string {
	b := make([]byte, 16)
	_, _ = rand.Read(b) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	text := fmt.Sprintf("%x", b)
	return strings.Join([]string{text[:8], text[8:12], text[12:16], text[16:20], text[20:]}, "-")
}
