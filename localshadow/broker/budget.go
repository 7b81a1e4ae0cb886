package broker

import "sync/atomic"

// maxQueued bounds the bytes of all messages that wait for clients. A message
// counts once, however many it waits for.
const maxQueued = 64 << 20

// budget is what messages that wait take of the memory.
type budget struct{ used atomic.Int64 }

// take counts a message in one more place; false: there is no room for it.
func (b *budget) take(m *message) bool {
	if m.places.Add(1) > 1 {
		return true
	}
	if b.used.Add(int64(m.size())) <= maxQueued {
		return true
	}
	b.give(m)
	return false
}

// give takes it out of one place.
func (b *budget) give(m *message) {
	if m.places.Add(-1) == 0 {
		b.used.Add(-int64(m.size()))
	}
}
