package broker

import (
	"context"
	"errors"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"edgeshadow/localshadow/access"
)

// Why a message that came over HTTP is not published.
var (
	ErrForbidden = errors.New("forbidden")
	ErrTopic     = errors.New("invalid topic")
	ErrNotKept   = errors.New("not stored")
)

// keepTimeout bounds the wait for the disk.
const keepTimeout = 30 * time.Second

// Posted is a message that came over HTTP, with what MQTT 5 adds (SHADOW 19).
type Posted struct {
	Message
	UserProperties [][2]string
	UTF8           bool // the payload is text
	Correlation    []byte
	ContentType    string
	ResponseTopic  string
	Expiry         uint32 // seconds; 0: never
}

// Post publishes a client's message as if it had come over MQTT: on the topic
// of a shadow request it is one, whose answers go to their topics alone. With
// QoS 1 it returns when what must be stored is. The errors are ErrTopic,
// ErrForbidden and ErrNotKept.
func (b *Broker) Post(ctx context.Context, who Principal, p Posted) error {
	switch {
	case !validTopic(p.Topic), p.ResponseTopic != "" && !validTopic(p.ResponseTopic):
		return ErrTopic
	case !mayPublish(p.Topic), reserved(p.Topic) && p.Retain, !may(who, access.ActionPublish, p.Topic),
		p.Retain && !may(who, access.ActionRetainPublish, p.Topic):
		return ErrForbidden
	}
	ctx, cancel := context.WithTimeout(ctx, keepTimeout)
	defer cancel()
	m := newMessage("", p.Topic, p.Payload, p.QoS, p.Retain, p.properties())
	kept := make(chan bool, 1)
	if id, op, ok := request(p.Topic); ok {
		b.fan(m, nil)
		b.shadows.Handle(ctx, id, op, p.Payload, true, func() { kept <- true })
	} else {
		r := newReceipt(func(ok bool) { kept <- ok })
		b.publish(m, r)
		r.release(true)
	}
	if p.QoS == 0 {
		return nil
	}
	select {
	case ok := <-kept:
		if ok {
			return nil
		}
	case <-ctx.Done():
	}
	return ErrNotKept
}

func (p Posted) properties() *packets.Properties {
	out := &packets.Properties{
		PayloadFormatFlag: p.UTF8, CorrelationData: p.Correlation, ContentType: p.ContentType,
		ResponseTopic: p.ResponseTopic, MessageExpiryInterval: p.Expiry,
	}
	if p.UTF8 {
		out.PayloadFormat = 1
	}
	for _, u := range p.UserProperties {
		out.User = append(out.User, packets.UserProperty{Key: u[0], Val: u[1]})
	}
	return out
}
