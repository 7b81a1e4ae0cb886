package broker

import "sync/atomic"

// Bounds of what is buffered for all clients that do not read. From maxBuffers
// on, each has fairShare.
const (
	maxBuffers = 64 << 20
	fairShare  = 16 << 10
)

// traffic counts what is written past mochi.
type traffic struct {
	sent, bytes atomic.Int64 // messages, and bytes of all packets
	buffered    atomic.Int64 // bytes that wait for clients to read
}

// crowded tells whether a client for which so much is buffered must wait for
// the others.
func (t *traffic) crowded(queued int) bool {
	return queued > fairShare && t.buffered.Load() > maxBuffers
}
