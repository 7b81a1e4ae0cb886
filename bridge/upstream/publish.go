package upstream

import (
	"context"
	"fmt"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
)

// send is a message on its way.
type send struct {
	topic   string
	payload []byte
	done    chan error // capacity 1
}

// publish waits for a slot, and for the PUBACK. The slot is the message's and
// not the caller's, who may give up waiting: until the PUBACK it is in flight.
func (e *epoch) publish(ctx context.Context, topic string, payload []byte) error {
	select {
	case e.window <- struct{}{}:
	case <-e.lost:
		return ErrDown
	case <-ctx.Done():
		return ctx.Err()
	}
	s := &send{topic, payload, make(chan error, 1)}
	select {
	case e.sends <- s:
	case <-e.lost:
		return ErrDown
	case <-ctx.Done():
		<-e.window
		return ctx.Err()
	}
	select {
	case err := <-s.done:
		return err
	case <-e.lost:
		return ErrDown
	case <-ctx.Done():
		return ctx.Err()
	}
}

// sendLoop gives messages to paho, in order. Paho may hold it for writeTimeout
// on a link that stalls or was just lost, which its callers need not wait for.
func (e *epoch) sendLoop() {
	for {
		select {
		case s := <-e.sends:
			token := e.client.Publish(s.topic, 1, false, s.payload)
			e.wg.Go(func() {
				s.done <- e.acknowledged(token)
				<-e.window
			})
		case <-e.lost:
			return
		}
	}
}

// acknowledged waits for a PUBACK. The token is of this epoch's client, where
// nothing but a PUBACK completes it without an error.
func (e *epoch) acknowledged(token mqtt.Token) error {
	timer := time.NewTimer(pubackTimeout)
	defer timer.Stop()
	select {
	case <-token.Done():
	case <-e.lost:
		return ErrDown
	case <-timer.C:
		e.end(fmt.Errorf("no PUBACK in %v", pubackTimeout))
		return ErrDown
	}
	if err := token.Error(); err != nil {
		e.end(err)
		return ErrDown
	}
	e.traffic.messagesOut.Add(1)
	return nil
}
