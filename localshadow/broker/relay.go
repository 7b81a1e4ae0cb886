package broker

import "context"

// Message is a message on an ordinary topic.
type Message struct {
	Topic   string
	Payload []byte
	QoS     byte
	Retain  bool
}

// Relay is who takes messages of clients further than to their subscribers.
type Relay interface {
	// Take tells whether it takes a message over, which is the callee's then. It
	// calls acked once, in any goroutine, when the message can't be lost any
	// more; never, when it could not be kept. It may block while its queue is
	// full, until ctx ends. It does not call back into the broker.
	Take(ctx context.Context, m Message, acked func()) bool
}

// Send publishes a message on an ordinary topic from the gateway itself; no
// relay takes it. It waits for no subscriber, and calls kept, in any goroutine,
// when a restart can't lose it any more to those whose sessions last; never,
// when it could. A nil kept is for nobody.
func (b *Broker) Send(m Message, kept func()) {
	var r *receipt
	if kept != nil {
		r = newReceipt(func(ok bool) {
			if ok {
				kept()
			}
		})
	}
	b.send(&message{topic: m.Topic, payload: m.Payload, qos: m.QoS, retain: m.Retain}, r)
	r.release(true)
}
