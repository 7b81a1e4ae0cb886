package cloudtest

// Moment is a point on the way between a client and the cloud.
type Moment int

const (
	Connecting Moment = iota // a CONNECT has come; topic and payload are empty
	Arrived                  // a request has come, and was not served
	Leaving                  // a message of the cloud, an answer or an event, is about to be sent
	Acked                    // the PUBACK of such a message has come, and counts for nothing yet
)

// Watch names what is told of each moment: it may kill the client there. When
// it reports false, the request is not served, or the PUBACK does not count. The
// cloud stands still meanwhile.
func (b *Broker) Watch(fn func(m Moment, topic string, payload []byte) bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.watch = fn
}

func (b *Broker) at(m Moment, topic string, payload []byte) bool {
	b.mu.Lock()
	watch := b.watch
	b.mu.Unlock()
	return watch == nil || watch(m, topic, payload)
}
