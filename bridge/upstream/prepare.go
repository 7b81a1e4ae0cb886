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
	if err := cfg.usable(c.Now); err != nil {
		return nil, nil, err
	}
	return func() { c.set(cfg, filters) }, func() {}, nil
}

// set puts settings in force.
func (c *Client) set(cfg Config, filters []string) {
	print := cfg.fingerprint()
	c.mu.Lock()
	same := print == c.used && slices.Equal(filters, c.Filters)
	fresh := c.used == (fingerprint{}) // nothing was begun yet
	c.Config, c.Filters = cfg, filters
	c.mu.Unlock()
	if same || fresh {
		return
	}
	select {
	case c.swaps() <- struct{}{}:
	default:
	}
}

// settings are those of the attempt that begins now.
func (c *Client) settings() (Config, []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.used = c.Config.fingerprint()
	return c.Config, c.Filters
}

func (c *Client) swaps() chan struct{} {
	c.once.Do(func() { c.swapped = make(chan struct{}, 1) })
	return c.swapped
}
