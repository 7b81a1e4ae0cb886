package registry

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"edgeshadow/localshadow"
)

// typePrefix of the types; the type's name follows.
const typePrefix = "r/k/"

func readTypes(store *localshadow.Store) (map[string]Type, error) {
	types := map[string]Type{}
	return types, store.View(func(v localshadow.Reader) error {
		return v.Scan([]byte(typePrefix), func(key, value []byte) error {
			var t Type
			if err := json.Unmarshal(value, &t); err != nil {
				return fmt.Errorf("read %q: %w", key, err)
			}
			types[t.Name] = t
			return nil
		})
	})
}

// Types are all types by name: those described, and those that things have.
func (r *Registry) Types() []Type {
	r.mu.RLock()
	defer r.mu.RUnlock()
	all := maps.Clone(r.types)
	for _, things := range []map[string]Thing{r.things, r.fixed} {
		for _, t := range things {
			if _, described := all[t.Type]; !described && t.Type != "" {
				all[t.Type] = Type{Name: t.Type}
			}
		}
	}
	types := slices.AppendSeq(make([]Type, 0, len(all)), maps.Values(all))
	slices.SortFunc(types, func(a, b Type) int { return cmp.Compare(a.Name, b.Name) })
	return types
}

// Type is one of Types, or a *Error.
func (r *Registry) Type(name string) (Type, error) {
	if t, ok := r.described(name); ok {
		return t, nil
	}
	if r.having(name) != "" {
		return Type{Name: name}, nil
	}
	return Type{}, noType(name)
}

func (r *Registry) described(name string) (Type, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	t, ok := r.types[name]
	return t, ok
}

// having is a thing that has a type; empty: none has.
func (r *Registry) having(name string) string {
	for _, t := range r.List() {
		if name != "" && t.Type == name {
			return t.Name
		}
	}
	return ""
}

// admit refuses to give a thing a type that is deprecated.
func (r *Registry) admit(name string) error {
	if t, _ := r.described(name); t.Deprecated {
		return invalid("Thing type %s is deprecated; no further thing can have it", name)
	}
	return nil
}

// CreateType describes a type. One that is there and equal is no error, as at AWS.
func (r *Registry) CreateType(ctx context.Context, name, description string, searchable []string) (Type, error) {
	r.changing.Lock()
	defer r.changing.Unlock()
	t := Type{Name: name, ID: uuid(), Description: description, Searchable: searchable, Created: time.Now().UTC().Truncate(time.Second)}
	if err := t.check(); err != nil {
		return Type{}, err
	}
	old, there := r.described(name)
	switch {
	case there && (old.Description != description || !slices.Equal(old.Searchable, searchable)):
		return Type{}, refuse(409, "ResourceAlreadyExistsException", "Thing type %s already exists with another description or other attributes", name)
	case there:
		return old, nil
	case len(r.types) >= maxTypes:
		return Type{}, refuse(429, "LimitExceededException", "%d thing types; a gateway holds no more", len(r.types))
	}
	return t, r.setType(ctx, t)
}

// Deprecate says whether new things may have a type; those that have it keep
// it. A type that is deprecated already counts from the first time.
func (r *Registry) Deprecate(ctx context.Context, name string, deprecated bool) error {
	r.changing.Lock()
	defer r.changing.Unlock()
	t, there := r.described(name)
	switch {
	case !there && r.having(name) != "":
		return refuse(404, "ResourceNotFoundException", "Thing type %s is only a name that things have; create it first", name)
	case !there:
		return noType(name)
	case t.Deprecated == deprecated:
		return nil
	}
	t.Deprecated, t.DeprecatedOn, t.DeprecatedAge = deprecated, time.Time{}, 0
	if deprecated {
		// A power cut must not take the age back to far before this one.
		if err := r.store.SaveAge(ctx); err != nil {
			return fmt.Errorf("registry: %w", err)
		}
		t.DeprecatedOn, t.DeprecatedAge = time.Now().UTC().Truncate(time.Second), r.store.Age()
	}
	return r.setType(ctx, t)
}

// DeleteType removes a type that has been deprecated for five minutes in which
// the gateway ran, and that no thing has. One that is not there is no error.
func (r *Registry) DeleteType(ctx context.Context, name string) error {
	r.changing.Lock()
	defer r.changing.Unlock()
	t, there := r.described(name)
	thing := r.having(name)
	switch {
	case thing != "":
		return invalid("Thing type %s can't be deleted: thing %s has it", name, thing)
	case !there:
		return nil
	case !t.Deprecated:
		return invalid("Thing type %s can't be deleted: deprecate it first", name)
	}
	// After a kill the age may be some fraction of a second below that of the record.
	if left := deprecationWait - max(r.store.Age()-t.DeprecatedAge, 0); left > 0 {
		return invalid("Thing type %s can't be deleted yet: it was deprecated less than %d minutes ago; %s to go",
			name, deprecationWait/time.Minute, max(left.Round(time.Second), time.Second))
	}
	err := r.store.Update(ctx, func(tx *localshadow.Tx) error {
		tx.Delete([]byte(typePrefix + name))
		return nil
	})
	if err != nil {
		return fmt.Errorf("registry: %w", err)
	}
	r.mu.Lock()
	delete(r.types, name)
	r.mu.Unlock()
	return nil
}

// setType needs the lock of changes.
func (r *Registry) setType(ctx context.Context, t Type) error {
	value, err := json.Marshal(t)
	if err != nil {
		return err
	}
	err = r.store.Update(ctx, func(tx *localshadow.Tx) error { return tx.Set([]byte(typePrefix+t.Name), value) })
	if err != nil {
		return fmt.Errorf("registry: %w", err)
	}
	r.mu.Lock()
	r.types[t.Name] = t
	r.mu.Unlock()
	return nil
}
