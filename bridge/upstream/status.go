package upstream

import (
	"errors"
	"time"
)

// State of the connection.
type State string

const (
	Down       State = "down"
	Connecting State = "connecting"
	Up         State = "up"
)

// Status is what the connection is like, and why. It is up while the other side
// is heard, at most one and a half of KeepAlive ago.
type Status struct {
	State    State     `json:"state"`
	Since    time.Time `json:"since"`
	Why      string    `json:"why,omitempty"`  // the last failure, while it lasts; a fight is told until a connection was stable
	Hint     string    `json:"hint,omitempty"` // its cure
	Failures int       `json:"failures"`       // in a row
	Heard    time.Time `json:"heard,omitzero"` // when the other side last sent something

	// Connections are how many there are, of a Pool.
	Connections int `json:"connections,omitempty"`

	// Since the start.
	Attempts    int64 `json:"attempts"`
	Connects    int64 `json:"connects"`
	MessagesIn  int64 `json:"messages_in"`
	MessagesOut int64 `json:"messages_out"` // acknowledged
	BytesIn     int64 `json:"bytes_in"`     // of MQTT, without TLS and TCP
	BytesOut    int64 `json:"bytes_out"`
}

// Status reads it.
func (c *Client) Status() Status {
	c.mu.Lock()
	s := c.status
	c.mu.Unlock()
	if s.State == "" {
		s.State = Down
	}
	if heard := c.traffic.heard.Load(); heard != 0 {
		s.Heard = time.Unix(0, heard)
	}
	s.Attempts = c.traffic.attempts.Load()
	s.MessagesIn, s.MessagesOut = c.traffic.messagesIn.Load(), c.traffic.messagesOut.Load()
	s.BytesIn, s.BytesOut = c.traffic.bytesIn.Load(), c.traffic.bytesOut.Load()
	return s
}

func (c *Client) connecting() {
	c.traffic.attempts.Add(1)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.status.State, c.status.Since = Connecting, time.Now()
}

// up is told before Handler.Up, which may publish.
func (c *Client) up(e *epoch) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.epoch = e
	c.outage.up(c.Config.Endpoint, e.kept)
	c.status.State, c.status.Since = Up, time.Now()
	c.status.Connects++
	c.status.Failures = 0
	if c.kicks < fightAfter {
		c.status.Why, c.status.Hint = "", ""
	}
}

// down takes nil for an end that was wished for.
func (c *Client) down(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.status.State, c.status.Since = Down, time.Now()
	if err == nil {
		return
	}
	c.status.Failures++
	c.status.Why, c.status.Hint = explain(err, c.now())
	var fight *FightError
	c.outage.failed(c.status.Why, c.status.Hint, errors.As(err, &fight))
}

// calm is a connection that was stable: a fight is over.
func (c *Client) calm() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.status.Why, c.status.Hint = "", ""
}
