package upstream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// ErrDown is the answer to a publish without a connection, or whose connection
// ended before the PUBACK: whether it arrived is not known.
var ErrDown = errors.New("the uplink is down")

// DefaultKeepAlive is the least that AWS takes (SHADOW 18), and what a
// connection costs that has nothing to say.
const DefaultKeepAlive = 30 * time.Second

// Handler is what the owner of the connection wants to hear. The calls come one
// at a time, in the order of the package comment, from the goroutine of Run:
// while one of them lasts nothing is read.
type Handler interface {
	// Up says that every filter is subscribed. Kept: the broker had kept the
	// session, and replays what it holds for us.
	Up(kept bool)
	// Down says that the connection ended.
	Down(err error)
	// Message is one message; ack lets the broker forget it. Without the call
	// it comes again with the next connection. Ack never blocks, and may be
	// called later, from any goroutine.
	Message(topic string, payload []byte, ack func())
}

// Client keeps one connection up.
type Client struct {
	Config   Config
	ClientID string
	Filters  []string // QoS 1
	Handler  Handler
	// Aside, when set, is offered every message before Handler is, in the same
	// order, and returns true for what it takes; ack is as Handler's.
	Aside   func(m Message, ack func()) bool
	Log     *slog.Logger // nil discards
	Backoff Backoff      // zero: DefaultBackoff
	// KeepAlive is the time without traffic after which the peer is asked; one
	// and a half of it without an answer ends the connection. 0:
	// DefaultKeepAlive; whole seconds.
	KeepAlive time.Duration
	// Now is the clock that certificates are checked with; nil: time.Now.
	Now func() time.Time

	refused func(filters []string) bool // finds others in their place; nil: nobody does

	traffic traffic
	wg      sync.WaitGroup // goroutines of all epochs

	// Of the goroutine of Run.
	outage     outage
	retry      retry
	kicks      int             // connections in a row that the other side closed soon
	subscribed map[string]bool // filters, in the session
	deaf       bool            // the session was without filters that are asked for now

	swapped chan struct{} // capacity 1: there are other settings, see Prepare
	once    sync.Once     // makes swapped

	mu     sync.Mutex  // guards Config and Filters too, once Run began
	used   fingerprint // of the last attempt
	epoch  *epoch      // nil while not up
	status Status
}

// Run connects, and connects again, until ctx ends. It may be called once.
func (c *Client) Run(ctx context.Context) error {
	defer c.wg.Wait()
	c.outage.log = c.Log
	if c.Log == nil {
		c.outage.log = slog.New(slog.DiscardHandler)
	}
	c.retry = newRetry(c.Backoff)
	for {
		c.retry.attempt(time.Now())
		c.connecting()
		err := c.live(ctx)
		pause := c.retry.least(time.Now())
		switch {
		case ctx.Err() != nil:
			c.down(nil)
			return nil
		case errors.Is(err, errSwapped):
			c.down(nil)
		default:
			c.down(c.judge(err))
			pause = c.retry.pause(time.Now())
		}
		if !c.wait(ctx, pause) {
			return nil
		}
	}
}

// now is by the clock that certificates and signatures are made with.
func (c *Client) now() time.Time {
	if c.Now == nil {
		return time.Now()
	}
	return c.Now()
}

// wait pauses between two attempts. Other settings deserve one at once.
func (c *Client) wait(ctx context.Context, pause time.Duration) bool {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	case <-c.swaps():
	}
	timer.Reset(c.retry.least(time.Now()))
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// live is one epoch, from connecting to the loss, whose cause it returns.
func (c *Client) live(ctx context.Context) error {
	cfg, filters := c.settings()
	e, err := c.connect(ctx, cfg)
	if err != nil {
		return err
	}
	defer e.close()
	if err := c.subscribe(ctx, e, filters); err != nil {
		return err
	}
	c.up(e)
	c.Handler.Up(e.kept)
	err = e.deliver(ctx, c.retry.Stable, c.steady, c.swaps())
	c.mu.Lock()
	c.epoch = nil // before Down: from then on a publish is ErrDown
	c.mu.Unlock()
	c.Handler.Down(err)
	return err
}

// subscribe asks for the filters, and lets those go that the session holds and
// nobody wants any more.
func (c *Client) subscribe(ctx context.Context, e *epoch, filters []string) error {
	if !e.kept {
		c.subscribed = nil
	}
	err := e.subscribe(ctx, filters)
	var no *RefusedError
	if errors.As(err, &no) && c.refused != nil && c.refused(no.Filters) {
		c.deaf = true
		return errSwapped
	}
	if err != nil {
		return err
	}
	var stale []string
	for f := range c.subscribed {
		if !slices.Contains(filters, f) {
			stale = append(stale, f)
		}
	}
	if len(stale) > 0 {
		if err := e.await(ctx, e.client.Unsubscribe(stale...)); err != nil {
			return fmt.Errorf("unsubscribe: %w", err)
		}
	}
	if c.deaf { // what the session missed it can't replay
		c.deaf, e.kept = false, false
	}
	c.subscribed = make(map[string]bool, len(filters))
	for _, f := range filters {
		c.subscribed[f] = true
	}
	return nil
}

// fightAfter is how many connections in a row the other side must close, each
// before it was stable, for a fight.
const fightAfter = 3

// judge names a fight for the client id, which shows only by repeating: the
// other client connects, the broker closes our connection [MQTT-3.1.4-2], and
// so on in turns. A link that breaks ends with a reset or a silence instead.
func (c *Client) judge(err error) error {
	if !closedInOrder(err) {
		c.kicks = 0
		return err
	}
	if c.kicks++; c.kicks < fightAfter {
		return err
	}
	return &FightError{ClientID: c.ClientID, Times: c.kicks, Err: err}
}

// steady is a connection that lasted: what was wrong before is over.
func (c *Client) steady() {
	c.retry.reset()
	c.kicks = 0
	c.outage.over()
	c.calm()
}

// Publish sends with QoS 1. Nil means that the broker acknowledged it on the
// connection that it was sent on; any error that it may or may not have arrived.
// It waits while maxUnacked others wait for their PUBACK.
func (c *Client) Publish(ctx context.Context, topic string, payload []byte) error {
	c.mu.Lock()
	e := c.epoch
	c.mu.Unlock()
	if e == nil {
		return ErrDown
	}
	return e.publish(ctx, Message{Topic: topic, Payload: payload, QoS: 1})
}
