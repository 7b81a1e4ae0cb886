package access

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"edgeshadow/localshadow"
)

// read takes the store's records into a state.
func (a *Access) read(s *state) error {
	visit := func(r localshadow.Reader, prefix string, take func(name string, value []byte) error) error {
		return r.Scan([]byte(prefix), func(key, value []byte) error {
			if err := take(strings.TrimPrefix(string(key), prefix), value); err != nil {
				return fmt.Errorf("read %q: %w", key, err)
			}
			return nil
		})
	}
	s.replacing = map[string][]string{}
	return a.store.View(func(r localshadow.Reader) error {
		err := visit(r, policyPrefix, func(name string, text []byte) error {
			p, err := ParsePolicy(name, slices.Clone(text))
			s.put[name] = p
			return err
		})
		if err != nil {
			return err
		}
		err = visit(r, keyPrefix, func(id string, value []byte) error {
			var k Key
			err := json.Unmarshal(value, &k)
			s.keys[id] = k
			return err
		})
		if err != nil {
			return err
		}
		return visit(r, issuedPrefix, func(id string, value []byte) error {
			var i Issued
			err := json.Unmarshal(value, &i)
			if len(i.Replaces) > 0 && slices.ContainsFunc(i.Replaces, func(old string) bool { return !s.revoked[old] }) {
				s.replacing[id] = i.Replaces
			}
			return err
		})
	})
}

// PutPolicy stores a policy document, in the place of the one of that name. A
// fault leaves the old one.
func (a *Access) PutPolicy(ctx context.Context, name string, text []byte) error {
	if s := a.state.Load(); builtin[name] != nil || s.files[name] != nil {
		return fmt.Errorf("the policy %s is not one that was put: it is built in, or a file of the configuration", name)
	}
	p, err := ParsePolicy(name, text)
	if err != nil {
		return fmt.Errorf("policy %s: %w", name, err)
	}
	if err := a.store.Update(ctx, func(tx *localshadow.Tx) error { return tx.Set([]byte(policyPrefix+name), text) }); err != nil {
		return fmt.Errorf("policy %s: %w", name, err)
	}
	a.change(func(s *state) {
		s.put = maps.Clone(s.put)
		s.put[name] = p
	})
	return nil
}

// DeletePolicy removes a policy that was put.
func (a *Access) DeletePolicy(ctx context.Context, name string) error {
	if a.state.Load().put[name] == nil {
		return fmt.Errorf("no policy %.140q that was put", name)
	}
	if err := a.drop(ctx, policyPrefix+name); err != nil {
		return fmt.Errorf("policy %s: %w", name, err)
	}
	a.change(func(s *state) {
		s.put = maps.Clone(s.put)
		delete(s.put, name)
	})
	return nil
}

// PolicyInfo is a policy as the operator sees it.
type PolicyInfo struct {
	Name   string `json:"name"`
	Origin string `json:"origin"` // built in, configured or put
	Text   string `json:"text"`
}

// Policies lists the policies that principals may have.
func (a *Access) Policies() []PolicyInfo {
	s := a.state.Load()
	out := []PolicyInfo{}
	for _, from := range []struct {
		origin string
		all    map[string]*Policy
	}{{"built in", builtin}, {"configured", s.files}, {"put", s.put}} {
		for _, name := range slices.Sorted(maps.Keys(from.all)) {
			out = append(out, PolicyInfo{name, from.origin, string(from.all[name].Text)})
		}
	}
	return out
}
