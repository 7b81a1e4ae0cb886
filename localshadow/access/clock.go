package access

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// released is a time that is over: a clock before it is not set.
var released = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

const (
	clockFile  = "clock"
	clockEvery = 24 * time.Hour // between writes
)

// clock is the time that certificates are checked at: the machine's, or while
// that is not set the last good one that is known. A gateway has no
// battery-backed clock.
type clock struct {
	path string
	now  func() time.Time

	mu   sync.Mutex
	good time.Time // as saved; not before released
}

func openClock(dir string) (*clock, error) {
	c := &clock{path: filepath.Join(dir, clockFile), now: time.Now, good: released}
	text, err := os.ReadFile(c.path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("CA: %w", err)
	}
	// A file that can't be read as a time is as good as none.
	if t, err := time.Parse(time.RFC3339, strings.TrimSpace(string(text))); err == nil && t.After(released) {
		c.good = t
	}
	return c, nil
}

// time is what certificates are checked at.
func (c *clock) time() time.Time {
	if now := c.now(); !now.Before(released) {
		return now
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.good
}

// set tells whether the machine's clock may be right.
func (c *clock) set() bool { return !c.now().Before(released) }

// save keeps the time, now and then.
func (c *clock) save() error {
	now := c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if now.Before(released) || now.Sub(c.good).Abs() < clockEvery {
		return nil
	}
	if err := writeFile(c.path, []byte(now.UTC().Format(time.RFC3339)+"\n"), 0o644); err != nil {
		return fmt.Errorf("keep the time: %w", err)
	}
	c.good = now
	return nil
}

// Now is the time at which certificates are checked: tls.Config.Time.
func (ca *CA) Now() time.Time { return ca.clock.time() }

// ClockHint is the cure for a certificate that is refused for its dates.
func (ca *CA) ClockHint() string {
	if ca.clock.set() {
		return ""
	}
	return fmt.Sprintf("clock not set: this machine thinks that it is %s; certificates are checked as of %s",
		ca.clock.now().UTC().Format(time.DateOnly), ca.Now().UTC().Format(time.DateOnly))
}
