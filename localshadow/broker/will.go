package broker

import (
	"time"

	"github.com/mochi-mqtt/server/v2/packets"
)

// will is a last will. mochi's knows of no properties but the user's, is lost
// when a connection ends in the wrong moment, and its delay goes by the wall
// clock.
type will struct {
	from    string
	topic   string
	payload []byte
	qos     byte
	retain  bool
	props   packets.Properties
	delay   time.Duration
	timer   *time.Timer // while it is delayed
}

func willOf(id string, p packets.ConnectParams, empty bool) *will {
	if !p.WillFlag {
		return nil
	}
	w := &will{
		from: id, topic: p.WillTopic, payload: p.WillPayload, qos: p.WillQos, retain: p.WillRetain,
		props: p.WillProperties, delay: time.Duration(p.WillProperties.WillDelayInterval) * time.Second,
	}
	if empty {
		w.payload = nil
	}
	return w
}

func (w *will) cancel() {
	if w != nil && w.timer != nil {
		w.timer.Stop()
	}
}

// send publishes the will [MQTT-3.1.2-8].
func (w *will) send(b *Broker) {
	if w != nil {
		b.publish(newMessage(w.from, w.topic, w.payload, w.qos, w.retain, &w.props), nil)
	}
}
