package access

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"edgeshadow/localshadow"
)

// Bounds of one-time tokens.
const (
	DefaultTokenTime = time.Hour
	maxTokenTime     = 7 * 24 * time.Hour
	maxTokens        = 1000
	tokenTries       = 5 // with the right token and a request that is refused
)

// token is what is kept of one: not itself.
type token struct {
	Thing   string        `json:"thing"`
	Expires time.Duration `json:"expires"` // an age of the store
	Tries   int           `json:"tries"`
}

var errToken = errors.New("there is no such token, or it was used, or it has ended")

// Token makes a one-time token with which a device trades a certificate request
// for a certificate of its thing, within ttl of running.
func (a *Access) Token(ctx context.Context, thing string, ttl time.Duration) (string, error) {
	if a.ca == nil {
		return "", errNoCA
	}
	if err := validThing(thing); err != nil {
		return "", err
	}
	if ttl <= 0 || ttl > maxTokenTime {
		return "", fmt.Errorf("a token can't last %s; at most %s", ttl, maxTokenTime)
	}
	secret := make([]byte, 15)
	_, _ = rand.Read(secret) // never fails
	text := base32.StdEncoding.EncodeToString(secret)
	text = strings.Join([]string{text[:6], text[6:12], text[12:18], text[18:]}, "-")
	value, err := json.Marshal(token{Thing: thing, Expires: a.store.Age() + ttl, Tries: tokenTries})
	if err != nil {
		return "", err
	}
	err = a.store.Update(ctx, func(tx *localshadow.Tx) error {
		n := 0
		if err := tx.Scan([]byte(tokenPrefix), func([]byte, []byte) error { n++; return nil }); err != nil {
			return err
		}
		if n >= maxTokens {
			return fmt.Errorf("%d tokens wait to be used", n)
		}
		return tx.Set(tokenKey(text), value)
	})
	if err != nil {
		return "", fmt.Errorf("token: %w", err)
	}
	a.log.Info("one-time token made", "thing", thing, "for", ttl)
	if a.expected != nil {
		a.expected()
	}
	return text, nil
}

// Waiting tells whether a token waits for its device.
func (a *Access) Waiting() (waiting bool, err error) {
	err = a.store.View(func(r localshadow.Reader) error {
		return r.Scan([]byte(tokenPrefix), func(_, value []byte) error {
			var t token
			waiting = waiting || json.Unmarshal(value, &t) == nil && a.store.Age() < t.Expires
			return nil
		})
	})
	return waiting, err
}

func tokenKey(text string) []byte {
	sum := sha256.Sum256([]byte(strings.ToUpper(strings.TrimSpace(text))))
	return []byte(tokenPrefix + hex.EncodeToString(sum[:]))
}

// redeem trades a token. It ends with the first certificate, and with the last
// of its tries; one at a time, so that two devices never share one.
func (a *Access) redeem(ctx context.Context, text string, request []byte) (Bundle, error) {
	a.enroller.turn.Lock()
	defer a.enroller.turn.Unlock()
	key := tokenKey(text)
	var t token
	err := a.store.Update(ctx, func(tx *localshadow.Tx) error {
		value, err := tx.Get(key)
		if errors.Is(err, localshadow.ErrNotFound) {
			return errToken
		}
		if err != nil {
			return err
		}
		if err := json.Unmarshal(value, &t); err != nil {
			return err
		}
		if t.Tries--; t.Tries <= 0 || a.store.Age() >= t.Expires {
			tx.Delete(key)
		} else if value, err = json.Marshal(t); err != nil {
			return err
		} else if err := tx.Set(key, value); err != nil {
			return err
		}
		return nil
	})
	if err != nil {
		return Bundle{}, err
	}
	if a.store.Age() >= t.Expires {
		return Bundle{}, errToken
	}
	b, err := a.sign(ctx, request, t.Thing, "token")
	if err != nil {
		return Bundle{}, err
	}
	return b, a.drop(ctx, string(key))
}

// dropTokens removes those that have ended; waiting tells whether others have not.
func (a *Access) dropTokens(ctx context.Context) (waiting bool, err error) {
	var ended [][]byte
	err = a.store.View(func(r localshadow.Reader) error {
		return r.Scan([]byte(tokenPrefix), func(key, value []byte) error {
			var t token
			if err := json.Unmarshal(value, &t); err != nil || a.store.Age() >= t.Expires {
				ended = append(ended, append([]byte(nil), key...))
			} else {
				waiting = true
			}
			return nil
		})
	})
	if err != nil || len(ended) == 0 {
		return waiting, err
	}
	return waiting, a.store.Update(ctx, func(tx *localshadow.Tx) error {
		for _, key := range ended {
			tx.Delete(key)
		}
		return nil
	})
}

// enroller bounds what POST /enroll may cost. The zero value is ready.
type enroller struct {
	turn sync.Mutex
}
