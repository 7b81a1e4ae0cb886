package upstream

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"
)

// ErrDown is the answer to a publish without a connection, or whose connection
// ended before the PUBACK: whether it arrived is not known.
var ErrDown = errors.New("the uplink is down")

// Handler is what the owner of the connection wants to hear. The calls come one
// at a time, in the order of the package comment.
type Handler interface {
	// Up says that every filter is subscribed. Kept: the broker had kept the
	// session, and replays what it holds for us.
	Up(kept bool)
	// Down says that the connection ended.
	Down(err error)
	// Message is one message; ack lets the broker forget it. Without the call
	// it comes again with the next connection.
	Message(topic string, payload []byte, ack func())
}

// Backoff bounds the time between two attempts, which is drawn at random below
// a limit that doubles.
type Backoff struct {
	Min    time.Duration // first limit, and the least time between two attempts
	Max    time.Duration
	Stable time.Duration // a connection that lasted so long begins from Min again
}

// DefaultBackoff never connects more than once a second (SHADOW 27) and starts
// over only after a stable while: a link that flaps must not become a storm.
var DefaultBackoff = Backoff{Min: time.Second, Max: 120 * time.Second, Stable: 30 * time.Second}

// Client keeps one connection up.
type Client struct {
	Config   Config
	ClientID string
	Filters  []string // QoS 1
	Handler  Handler
	Log      *slog.Logger // nil discards
	Backoff  Backoff      // zero: DefaultBackoff
	// KeepAlive is the time without traffic after which the peer is asked; one
	// and a half of it without an answer ends the connection. 0: 30 s.
	KeepAlive time.Duration

	mu     sync.Mutex
	epoch  *epoch // nil while down
	status Status
}

// Run connects, and connects again, until ctx ends.
func (c *Client) Run(ctx context.Context) error {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Backoff == (Backoff{}) {
		c.Backoff = DefaultBackoff
	}
	if c.KeepAlive == 0 {
		c.KeepAlive = 30 * time.Second
	}
	limit := c.Backoff.Min
	for {
		c.set(Connecting, nil)
		began := time.Now()
		err := c.connection(ctx)
		if ctx.Err() != nil {
			c.set(Down, nil)
			return nil
		}
		c.set(Down, err)
		if time.Since(began) >= c.Backoff.Stable && c.wasUp() {
			limit = c.Backoff.Min
		}
		pause := c.Backoff.Min + rand.N(limit)
		limit = min(2*limit, c.Backoff.Max)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
	}
}

// connection is one epoch, from connecting to the loss, whose cause it returns.
func (c *Client) connection(ctx context.Context) error {
	e, err := c.dial(ctx)
	if err != nil {
		return err
	}
	defer e.close()
	if err := e.subscribe(ctx, c.Filters); err != nil {
		return err
	}
	c.mu.Lock()
	c.epoch = e
	c.mu.Unlock()
	c.set(Up, nil)
	c.Handler.Up(e.kept)

	err = e.deliver(ctx, c.Handler)

	c.mu.Lock()
	c.epoch = nil
	c.mu.Unlock()
	c.Handler.Down(err)
	return err
}

// Publish sends with QoS 1. Nil means that the broker acknowledged it on the
// connection that it was sent on; any error that it may or may not have arrived.
func (c *Client) Publish(ctx context.Context, topic string, payload []byte) error {
	c.mu.Lock()
	e := c.epoch
	c.mu.Unlock()
	if e == nil {
		return ErrDown
	}
	return e.publish(ctx, topic, payload)
}
