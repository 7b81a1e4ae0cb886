package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"edgeshadow/bridge/upstream"
)

// client is a real MQTT client with a few subscriptions.
type client struct {
	*upstream.Client
	handle func(topic string, payload []byte)

	once sync.Once
	up   chan struct{} // closed when it is connected and subscribed
}

func newClient(address, id string, filters []string, handle func(topic string, payload []byte)) *client {
	c := &client{handle: handle, up: make(chan struct{})}
	c.Client = &upstream.Client{
		Config:   upstream.Config{Endpoint: "mqtt://" + address},
		ClientID: id,
		Filters:  filters,
		Handler:  c,
		Backoff:  upstream.Backoff{Min: 100 * time.Millisecond, Max: time.Second, Stable: time.Second},
	}
	return c
}

func (c *client) Up(bool)    { c.once.Do(func() { close(c.up) }) }
func (c *client) Down(error) {}

func (c *client) Message(topic string, payload []byte, ack func()) {
	c.handle(topic, payload)
	ack()
}

// connected waits until the client is subscribed.
func (c *client) connected(ctx context.Context) error {
	select {
	case <-c.up:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%s does not connect: %w", c.ClientID, ctx.Err())
	}
}

// update sends a request document for a thing's classic shadow.
func (c *client) update(ctx context.Context, thing string, state map[string]any) error {
	payload, err := json.Marshal(map[string]any{"state": state})
	if err != nil {
		return err
	}
	return c.Publish(ctx, "$aws/things/"+thing+"/shadow/update", payload)
}
