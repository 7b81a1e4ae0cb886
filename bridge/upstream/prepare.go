package upstream

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"slices"
)

// errSwapped ends a connection in order, for one with other settings.
var errSwapped = errors.New("other settings")

// fingerprint is of what a connection is made with: the section, and what its
// files hold.
type fingerprint [sha256.Size]byte

func (c Config) fingerprint() fingerprint {
	h := sha256.New()
	fmt.Fprintf(h, "%q", []any{c})
	for _, path := range []string{c.Certificate, c.Key, c.CA} {
		data, err := os.ReadFile(path)
		fmt.Fprintf(h, "%d %v", len(data), err == nil)
		h.Write(data)
	}
	return fingerprint(h.Sum(nil))
}

// Prepare makes ready for other settings: commit puts them in force and can't
// fail, discard forgets them. A connection with what changed is made at once;
// the session, and with it every message, stays. When nothing changed, neither
// the section nor its files, the connection stays too.
func (c *Client) Prepare(cfg Config, filters []string) (commit, discard func(), err error) {
	if err := errors.Join(cfg.Validate()...); err != nil {
		return nil, nil, err
	}
	a, err := cfg.address()
	if err != nil {
		return nil, nil, err
	}
	if _, err := cfg.tlsConfig(a, c.Now); err != nil {
		return nil, nil, err
	}
	print := cfg.fingerprint()
	return func() {
		c.mu.Lock()
		same := print == c.used && slices.Equal(filters, c.Filters)
		c.Config, c.Filters = cfg, filters
		c.mu.Unlock()
		if same {
			return
		}
		select {
		case c.swaps() <- struct{}{}:
		default:
		}
	}, func() {}, nil
}

func (c *Client) settings() (Config, []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.Config, c.Filters
}

func (c *Client) swaps() chan struct{} {
	c.once.Do(func() { c.swapped = make(chan struct{}, 1) })
	return c.swapped
}
