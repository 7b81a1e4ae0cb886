package upstream

import (
	"context"
	"errors"
	"slices"
	"time"
)

// Probe is one connection that finds out what the other side lets this client
// do. It keeps nothing up: what ends it has ended it.
type Probe struct {
	client *Client
	epoch  *epoch
}

// Dial connects once, as clientID. Whoever has the same id is cut off by that.
func Dial(ctx context.Context, cfg Config, clientID string) (*Probe, error) {
	c := &Client{Config: cfg, ClientID: clientID, Handler: deaf{}}
	e, err := c.connect(ctx, c.Config)
	if err != nil {
		return nil, err
	}
	return &Probe{c, e}, nil
}

// deaf acknowledges nothing: what is not the probe's comes again to whom it is for.
type deaf struct{}

func (deaf) Up(bool)                        {}
func (deaf) Down(error)                     {}
func (deaf) Message(string, []byte, func()) {}

// Subscribe asks for one filter; a *RefusedError is a no.
func (p *Probe) Subscribe(ctx context.Context, filter string) error {
	return p.epoch.subscribe(ctx, []string{filter})
}

// Publish sends with QoS 1 and waits for the PUBACK. AWS IoT answers what is not
// allowed by closing the connection: ErrDown.
func (p *Probe) Publish(ctx context.Context, topic string, payload []byte) error {
	return p.epoch.publish(ctx, Message{Topic: topic, Payload: payload, QoS: 1})
}

// Await waits for a message on one of the topics, and returns which.
func (p *Probe) Await(ctx context.Context, topics ...string) (string, error) {
	for {
		select {
		case m := <-p.epoch.messages:
			p.epoch.hand(m)
			if slices.Contains(topics, m.Topic()) {
				return m.Topic(), nil
			}
		case <-p.epoch.lost:
			return "", p.epoch.err
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
}

// Close leaves.
func (p *Probe) Close() {
	p.epoch.close()
	p.client.wg.Wait()
}

// Explain turns an error of a connection into a cause and, if there is one, a cure.
func Explain(err error) (why, hint string) { return explain(err, time.Now()) }

// Stages of an attempt to connect.
const (
	StageFiles = "files" // certificate, key and CA
	StageTCP   = "tcp"   // DNS and the connection
	StageTLS   = "tls"
	StageMQTT  = "mqtt" // CONNECT and CONNACK
)

// Stage is where an attempt to connect failed.
func Stage(err error) string {
	var early *linkError
	switch {
	case !errors.As(err, &early):
		return StageFiles
	case early.stage == dialing:
		return StageTCP
	case early.stage == securing:
		return StageTLS
	}
	return StageMQTT
}

// Addresses are host:port of the endpoint, and of the other port on which AWS
// IoT takes MQTT; "" when there is none.
func (c Config) Addresses() (endpoint, other string, err error) {
	a, err := c.address()
	if err != nil {
		return "", "", err
	}
	if a.aws() && !a.ws {
		b := a
		if b.port = alpnPort; a.port == alpnPort {
			b.port = "8883"
		}
		other = b.String()
	}
	return a.String(), other, nil
}
