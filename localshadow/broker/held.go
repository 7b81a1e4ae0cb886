package broker

import (
	"hash/maphash"
	"sync"
)

// turns let one connection at a time begin or end the session of a client id.
// Several ids share a lock.
type turns struct {
	seed  maphash.Seed
	locks [64]sync.Mutex
}

func (t *turns) of(id string) *sync.Mutex {
	return &t.locks[maphash.String(t.seed, id)%uint64(len(t.locks))]
}

// held is the turn that the goroutine of a connection has, from one hook of
// mochi to another.
type held struct{ turn *sync.Mutex }

// take waits for the turn of the client id.
func (h *held) take(turn *sync.Mutex) {
	h.release()
	turn.Lock()
	h.turn = turn
}

// release gives back what is held. Any hook may turn out to be the last, so the
// listener calls it too.
func (h *held) release() {
	if h.turn != nil {
		h.turn.Unlock()
		h.turn = nil
	}
}
