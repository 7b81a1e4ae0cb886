package access

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/base32"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"
)

// Key is an access key: its id and its secret sign requests as those of AWS do.
type Key struct {
	ID       string        `json:"id"`
	Secret   string        `json:"secret,omitempty"` // only when it is made
	Policies []string      `json:"policies"`
	Created  time.Time     `json:"created"`           // for people
	Expires  time.Duration `json:"expires,omitempty"` // an age of the store; 0: never
}

// LogValue leaves the secret out.
func (k Key) LogValue() slog.Value { return slog.StringValue(k.ID) }

const maxKeys = 1000

// CreateKey makes an access key that ends after ttl of running, whatever the
// clock says; 0: never. Without policies it has All.
func (a *Access) CreateKey(ctx context.Context, policies []string, ttl time.Duration) (Key, error) {
	if len(policies) == 0 {
		policies = []string{All}
	}
	s := a.state.Load()
	for _, name := range policies {
		if s.policy(name) == nil {
			return Key{}, fmt.Errorf("there is no policy %.140q", name)
		}
	}
	if len(s.keys) >= maxKeys {
		return Key{}, fmt.Errorf("%d keys are there; delete one first", maxKeys)
	}
	if ttl < 0 {
		return Key{}, errors.New("a key can't end in the past")
	}
	id, secret := make([]byte, 10), make([]byte, 30)
	_, _ = rand.Read(id) // never fails
	_, _ = rand.Read(secret)
	k := Key{
		ID: "ESAK" + base32.StdEncoding.EncodeToString(id), Secret: base64.RawURLEncoding.EncodeToString(secret),
		Policies: policies, Created: time.Now().UTC().Truncate(time.Second),
	}
	if ttl > 0 {
		k.Expires = a.store.Age() + ttl
	}
	if err := a.put(ctx, keyPrefix+k.ID, k); err != nil {
		return Key{}, fmt.Errorf("create key: %w", err)
	}
	a.change(func(s *state) {
		s.keys = maps.Clone(s.keys)
		s.keys[k.ID] = k
	})
	a.log.Info("access key created", "key", k, "policies", policies)
	return k, nil
}

// KeyInfo is a key as the operator sees it.
type KeyInfo struct {
	ID       string    `json:"id"`
	Policies []string  `json:"policies"`
	Created  time.Time `json:"created"`
	Left     string    `json:"left,omitempty"` // of its time; empty: it does not end
}

// Keys lists the keys, without their secrets.
func (a *Access) Keys() []KeyInfo {
	out := []KeyInfo{}
	for _, k := range a.state.Load().keys {
		info := KeyInfo{ID: k.ID, Policies: k.Policies, Created: k.Created}
		if k.Expires > 0 {
			info.Left = max(k.Expires-a.store.Age(), 0).Round(time.Second).String()
		}
		out = append(out, info)
	}
	slices.SortFunc(out, func(a, b KeyInfo) int { return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID)) })
	return out
}

// DeleteKey ends a key and the connections that it opened.
func (a *Access) DeleteKey(ctx context.Context, id string) error {
	if _, ok := a.state.Load().keys[id]; !ok {
		return fmt.Errorf("no access key %.60q", id)
	}
	if err := a.drop(ctx, keyPrefix+id); err != nil {
		return fmt.Errorf("delete key: %w", err)
	}
	a.change(func(s *state) {
		s.keys = maps.Clone(s.keys)
		delete(s.keys, id)
	})
	a.log.Info("access key deleted", "key", id)
	a.end("its access key is deleted", func(name, _ string) bool { return name == keyKind+":"+id })
	return nil
}

// key is a key that has not ended.
func (a *Access) key(id string) (Key, bool) {
	k, ok := a.state.Load().keys[id]
	return k, ok && (k.Expires == 0 || a.store.Age() < k.Expires)
}

// expire ends what has had its time, and keeps count of it.
func (a *Access) expire(ctx context.Context) {
	if a.ca != nil {
		if err := a.ca.clock.save(); err != nil {
			a.log.Warn("keep the time", "err", err)
		}
	}
	counting := false
	for id, k := range a.state.Load().keys {
		if k.Expires == 0 {
			continue
		}
		counting = true
		if a.store.Age() >= k.Expires {
			if err := a.DeleteKey(ctx, id); err != nil {
				a.log.Warn("an access key has ended and is still there", "key", id, "err", err)
			}
		}
	}
	tokens, err := a.dropTokens(ctx)
	if err != nil {
		a.log.Warn("tokens that have ended are still there", "err", err)
	}
	if (counting || tokens) && a.ageSaved.due() {
		if err := a.store.SaveAge(ctx); err != nil {
			a.log.Warn("keep the age", "err", err)
		}
	}
}

// saving tells when the age is to be saved: a power cut gives what ends at most
// that much more time.
type saving struct{ last time.Time }

const ageEvery = 10 * time.Minute

func (s *saving) due() bool {
	now := time.Now()
	if now.Sub(s.last) < ageEvery {
		return false
	}
	s.last = now
	return true
}
