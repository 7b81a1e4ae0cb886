package broker

import (
	"strings"
	"sync"
	"time"
)

// Bounds of retained messages. One that exceeds them is delivered, and not kept.
const (
	maxRetained      = 10_000
	maxRetainedBytes = 16 << 20
)

// retained are the messages that wait for subscribers to come [MQTT-3.3.1-5].
type retained struct {
	mu      sync.RWMutex
	byTopic map[string]*message
	bytes   int
}

// set keeps a message in the place of the one before; an empty one takes it
// away [MQTT-3.3.1-6], [MQTT-3.3.1-10]. It tells whether there was room.
func (r *retained) set(m *message) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	old, had := r.byTopic[m.topic]
	if had {
		r.bytes -= old.size()
		delete(r.byTopic, m.topic)
	}
	if len(m.payload) == 0 {
		return true
	}
	if len(r.byTopic) >= maxRetained || r.bytes+m.size() > maxRetainedBytes {
		return false
	}
	r.byTopic[m.topic] = m
	r.bytes += m.size()
	return true
}

// get is the message of a topic; nil: there is none.
func (r *retained) get(topic string) *message {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if m := r.byTopic[topic]; m != nil && !m.expired(time.Now()) {
		return m
	}
	return nil
}

// matching are the messages that a filter matches. Those that have expired are
// taken out on the way, and returned too.
func (r *retained) matching(filter string) (found, expired []*message) {
	if !strings.ContainsAny(filter, "+#") {
		if m := r.get(filter); m != nil {
			found = append(found, m)
		}
		return found, nil
	}
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	for topic, m := range r.byTopic {
		switch {
		case m.expired(now):
			r.bytes -= m.size()
			delete(r.byTopic, topic)
			expired = append(expired, m)
		case matches(filter, topic):
			found = append(found, m)
		}
	}
	return found, expired
}

func (r *retained) size() (messages, bytes int) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return len(r.byTopic), r.bytes
}

// matches tells whether a filter that is well-formed matches a topic.
func matches(filter, topic string) bool {
	if reserved(topic) && !seesReserved(filter) {
		return false
	}
	for {
		want, restFilter, moreFilter := strings.Cut(filter, "/")
		have, restTopic, moreTopic := strings.Cut(topic, "/")
		switch {
		case want == "#":
			return true
		case want != "+" && want != have:
			return false
		case !moreTopic:
			return !moreFilter || restFilter == "#" // the level above is matched too [MQTT-4.7.1-2]
		case !moreFilter:
			return false
		}
		filter, topic = restFilter, restTopic
	}
}
