package pubsub

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
)

// answerTimeout is how long the broker may take for CONNACK, SUBACK or PUBACK.
const answerTimeout = 15 * time.Second

// farewell is what packets under way get at the end.
const farewell = 250 // milliseconds

// Errors of the broker.
var (
	// ErrUnreachable is that there is no connection.
	ErrUnreachable = errors.New("no connection")
	// ErrRefused is a no of the broker, to a CONNECT or a SUBSCRIBE.
	ErrRefused = errors.New("refused by the broker")
	// ErrLost is that the connection ended.
	ErrLost = errors.New("the connection ended")
)

// Message is one that arrived.
type Message struct {
	Topic    string
	Payload  []byte
	QoS      byte
	Retained bool
}

// Client is one connection. Its methods may be called from many goroutines.
type Client struct {
	paho mqtt.Client
	url  *url.URL
	lost chan error // gets one value
}

// Dial connects. Message is called for each message, one at a time; while it
// lasts nothing is read.
func Dial(ctx context.Context, t Target, message func(Message)) (*Client, error) {
	u, err := t.URL()
	if err != nil {
		return nil, err
	}
	var tlsConfig *tls.Config
	if t.Open == nil {
		if tlsConfig, err = t.tlsConfig(u); err != nil {
			return nil, err
		}
	}
	c := &Client{url: u, lost: make(chan error, 1)}
	address := *u
	address.Scheme = schemes[u.Scheme]
	o := mqtt.NewClientOptions().AddBroker(address.String()).SetClientID(t.ClientID).
		SetUsername(t.User).SetPassword(t.Password).SetTLSConfig(tlsConfig).
		SetAutoReconnect(false).SetConnectRetry(false).SetCleanSession(true).SetOrderMatters(true).
		SetProtocolVersion(4). // else a refused CONNECT is tried again as MQTT 3.1
		SetKeepAlive(60 * time.Second).SetWriteTimeout(answerTimeout).SetConnectTimeout(answerTimeout).
		SetConnectionLostHandler(func(_ mqtt.Client, err error) { c.lost <- fmt.Errorf("%w: %w", ErrLost, err) }).
		SetDefaultPublishHandler(func(_ mqtt.Client, m mqtt.Message) {
			message(Message{m.Topic(), m.Payload(), m.Qos(), m.Retained()})
		})
	var opening error // the library does not hand it on whole
	if t.Open != nil {
		o.SetCustomOpenConnectionFn(func(*url.URL, mqtt.ClientOptions) (conn net.Conn, err error) {
			conn, opening = t.Open(ctx)
			return conn, opening
		})
	}
	c.paho = mqtt.NewClient(o)
	token := c.paho.Connect().(*mqtt.ConnectToken)
	err = c.wait(ctx, token)
	switch {
	case err == nil:
		return c, nil
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case token.Error() != nil && opening != nil: // the token is done, and so is who sets it
		return nil, fmt.Errorf("%w: %w", ErrUnreachable, opening)
	case token.ReturnCode() >= 1 && token.ReturnCode() <= 5: // above are the library's own
		return nil, fmt.Errorf("connect to %s as %s: %w: %w", u, t.ClientID, ErrRefused, err)
	}
	return nil, fmt.Errorf("connect to %s: %w: %w", u, ErrUnreachable, err)
}

// wait is for an answer of the broker.
func (c *Client) wait(ctx context.Context, token mqtt.Token) error {
	late := time.NewTimer(answerTimeout)
	defer late.Stop()
	select {
	case <-token.Done():
		return token.Error()
	case <-late.C:
		return errors.New("no answer")
	case <-ctx.Done():
		return ctx.Err()
	}
}

// answer is wait on a connection, which may end before: then what waits may hear
// of it earlier than Lost does.
func (c *Client) answer(ctx context.Context, token mqtt.Token) error {
	err := c.wait(ctx, token)
	if err != nil && ctx.Err() == nil && !c.paho.IsConnectionOpen() {
		return fmt.Errorf("%w: %w", ErrLost, err)
	}
	return err
}

// URL is where the client is connected.
func (c *Client) URL() string { return c.url.String() }

// Subscribe returns with the SUBACK, and the QoS that it grants.
func (c *Client) Subscribe(ctx context.Context, filter string, qos byte) (granted byte, err error) {
	token := c.paho.Subscribe(filter, qos, nil).(*mqtt.SubscribeToken)
	if err := c.answer(ctx, token); err != nil {
		return 0, fmt.Errorf("subscribe to %s: %w", filter, err)
	}
	const failure = 0x80 // [MQTT-3.9.3-2]
	if granted = token.Result()[filter]; granted >= failure {
		return 0, fmt.Errorf("subscribe to %s: %w", filter, ErrRefused)
	}
	return granted, nil
}

// Publish returns with the PUBACK, or PUBCOMP; with QoS 0 when it is sent.
func (c *Client) Publish(ctx context.Context, topic string, payload []byte, qos byte, retain bool) error {
	if err := c.answer(ctx, c.paho.Publish(topic, qos, retain, payload)); err != nil {
		return fmt.Errorf("publish to %s: %w", topic, err)
	}
	return nil
}

// Lost gets the reason when the connection ends by itself.
func (c *Client) Lost() <-chan error { return c.lost }

// Close says goodbye.
func (c *Client) Close() { c.paho.Disconnect(farewell) }
