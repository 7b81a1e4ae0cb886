package upstream

import (
	"context"
	"fmt"
	"sync"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
)

const (
	connectTimeout = 15 * time.Second
	writeTimeout   = 10 * time.Second // else a peer that stops reading is never noticed
	ackTimeout     = 10 * time.Second // for CONNACK and SUBACK
	maxUnacked     = 64               // publishes; AWS allows 100 (SHADOW 27)
	maxQueued      = 1024             // messages received and not yet handled
	maxFilters     = 8                // in a SUBSCRIBE (SHADOW 27)
)

// epoch is the life of one connection.
type epoch struct {
	client   mqtt.Client
	kept     bool // the broker had the session
	messages chan mqtt.Message
	window   chan struct{} // a slot for each unacknowledged publish

	lost chan struct{} // closed when the connection is gone
	once sync.Once
	err  error // why; set before lost is closed
}

func (e *epoch) end(err error) {
	e.once.Do(func() {
		e.err = err
		close(e.lost)
	})
}

// dial connects and returns after a good CONNACK.
func (c *Client) dial(ctx context.Context) (*epoch, error) {
	a, err := c.Config.address()
	if err != nil {
		return nil, err
	}
	tlsConfig, err := c.Config.tlsConfig(a)
	if err != nil {
		return nil, err
	}
	e := &epoch{
		messages: make(chan mqtt.Message, maxQueued),
		window:   make(chan struct{}, maxUnacked),
		lost:     make(chan struct{}),
	}
	o := mqtt.NewClientOptions().
		AddBroker(a.url()).
		SetClientID(c.ClientID).
		SetCleanSession(false).
		SetAutoReconnect(false).
		SetConnectRetry(false).
		SetOrderMatters(true).
		SetStore(mqtt.NewOrderedMemoryStore()).
		SetAutoAckDisabled(true).
		SetProtocolVersion(4).
		SetKeepAlive(c.KeepAlive).
		SetPingTimeout(c.KeepAlive / 2).
		SetWriteTimeout(writeTimeout).
		SetConnectTimeout(connectTimeout).
		SetMessageChannelDepth(100).
		SetDefaultPublishHandler(func(_ mqtt.Client, m mqtt.Message) {
			select {
			case e.messages <- m:
			case <-e.lost:
			}
		}).
		SetConnectionLostHandler(func(_ mqtt.Client, err error) { e.end(err) })
	if tlsConfig != nil {
		o.SetTLSConfig(tlsConfig)
	}
	e.client = mqtt.NewClient(o)
	token := e.client.Connect().(*mqtt.ConnectToken)
	select {
	case <-ctx.Done():
		e.close()
		return nil, ctx.Err()
	case <-token.Done():
	}
	if err := token.Error(); err != nil {
		e.close()
		return nil, fmt.Errorf("connect to %s: %w", a.url(), err)
	}
	e.kept = token.SessionPresent()
	return e, nil
}

// subscribe asks for every filter, a batch at a time, and checks each code.
func (e *epoch) subscribe(ctx context.Context, filters []string) error {
	for len(filters) > 0 {
		n := min(len(filters), maxFilters)
		batch := make(map[string]byte, n)
		for _, f := range filters[:n] {
			batch[f] = 1
		}
		filters = filters[n:]
		token := e.client.SubscribeMultiple(batch, nil).(*mqtt.SubscribeToken)
		if err := e.wait(ctx, token, ackTimeout); err != nil {
			return fmt.Errorf("subscribe: %w", err)
		}
		for filter, code := range token.Result() {
			if code > 1 {
				return &RefusedError{Filter: filter}
			}
		}
	}
	return nil
}

// RefusedError is a subscription that the broker did not grant.
type RefusedError struct{ Filter string }

func (e *RefusedError) Error() string { return "subscription refused: " + e.Filter }

// Hint names the cure.
func (e *RefusedError) Hint() string {
	return "allow iot:Subscribe on topicfilter/" + e.Filter + " and iot:Receive on its topics in the gateway's policy"
}

// deliver hands messages over until the connection is lost or ctx ends.
func (e *epoch) deliver(ctx context.Context, h Handler) error {
	for {
		select {
		case <-e.lost:
			return e.err
		case <-ctx.Done():
			return ctx.Err()
		case m := <-e.messages:
			h.Message(m.Topic(), m.Payload(), func() {
				select {
				case <-e.lost: // an ack of another epoch means nothing
				default:
					m.Ack()
				}
			})
		}
	}
}

func (e *epoch) publish(ctx context.Context, topic string, payload []byte) error {
	select {
	case e.window <- struct{}{}:
		defer func() { <-e.window }()
	case <-e.lost:
		return ErrDown
	case <-ctx.Done():
		return ctx.Err()
	}
	return e.wait(ctx, e.client.Publish(topic, 1, false, payload), 0)
}

// wait is for a token of this epoch. Paho completes tokens of a lost
// connection too, with and without an error: the loss is asked first.
func (e *epoch) wait(ctx context.Context, token mqtt.Token, timeout time.Duration) error {
	var late <-chan time.Time
	if timeout > 0 {
		timer := time.NewTimer(timeout)
		defer timer.Stop()
		late = timer.C
	}
	select {
	case <-e.lost:
		return ErrDown
	case <-ctx.Done():
		return ctx.Err()
	case <-late:
		return fmt.Errorf("no answer in %v", timeout)
	case <-token.Done():
	}
	select {
	case <-e.lost:
		return ErrDown
	default:
		return token.Error()
	}
}

// close ends the connection without waiting for anything: the session stays.
func (e *epoch) close() {
	e.end(ErrDown)
	e.client.Disconnect(0)
}
