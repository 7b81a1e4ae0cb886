package shadowtest

import (
	"strings"
	"sync"
	"testing"
	"time"
)

// patience is how long an await waits before it gives up: far beyond what any
// machine needs.
const patience = 30 * time.Second

// Message is one that was published.
type Message struct{ Topic, Payload string }

// Recorder is a publisher that remembers. The zero value is ready; reading does
// not remove.
type Recorder struct {
	mu       sync.Mutex
	messages []Message
	taken    []bool
	changed  chan struct{}
}

// Publish implements localshadow.Publisher.
func (r *Recorder) Publish(topic string, payload []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.messages = append(r.messages, Message{topic, string(payload)})
	r.taken = append(r.taken, false)
	if r.changed != nil {
		close(r.changed)
		r.changed = nil
	}
}

// Messages are all of them, oldest first.
func (r *Recorder) Messages() []Message {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]Message(nil), r.messages...)
}

// Topics are the topics of all messages, oldest first.
func (r *Recorder) Topics() []string {
	var topics []string
	for _, m := range r.Messages() {
		topics = append(topics, m.Topic)
	}
	return topics
}

// Await returns the oldest message on a topic that matches the filter and that
// no Await returned before.
func (r *Recorder) Await(tb testing.TB, filter string) Message {
	tb.Helper()
	deadline := time.After(patience)
	for {
		message, changed, ok := r.take(filter)
		if ok {
			return message
		}
		select {
		case <-changed:
		case <-deadline:
			tb.Fatalf("no message on %s; got %q", filter, r.Topics())
		}
	}
}

func (r *Recorder) take(filter string) (Message, <-chan struct{}, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, m := range r.messages {
		if !r.taken[i] && Match(filter, m.Topic) {
			r.taken[i] = true
			return m, nil, true
		}
	}
	if r.changed == nil {
		r.changed = make(chan struct{})
	}
	return Message{}, r.changed, false
}

// Match says whether an MQTT topic filter matches a topic.
func Match(filter, topic string) bool {
	levels := strings.Split(topic, "/")
	for i, level := range strings.Split(filter, "/") {
		if level == "#" {
			return true
		}
		if i >= len(levels) || level != "+" && level != levels[i] {
			return false
		}
		if i == strings.Count(filter, "/") {
			return i == len(levels)-1
		}
	}
	return false
}
