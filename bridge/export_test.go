package bridge

import (
	"math/rand/v2"

	"edgeshadow/localshadow/shadow"
)

// Seed makes the pauses that are drawn at random the same in each run.
func (r *Reconciler) Seed(seed uint64) { r.random = rand.New(rand.NewPCG(seed, 2)) }

// Unpaced lifts the limits of the rate, for measuring what is under them.
func (r *Reconciler) Unpaced() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pace.most, r.pace.rate, r.pace.tokens = 1e9, 1e9, 1e9
	r.pace.things = nil
	r.book.least = 0
}

// Paced ends Unpaced.
func (r *Reconciler) Paced() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pace, r.book.least = newPace(), pushInterval
}

// Base is the cloud's document as the record has it.
func (r *Reconciler) Base(id shadow.ID) (state shadow.State, number int64, exists bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	_ = r.look(func(other shadow.ID, _ rest) bool { return other == id }, func(s *step) {
		state, number, exists = s.r.Base.State, s.r.Number, s.r.Exists
	})
	return state, number, exists
}

// SettledRecord is the record of a shadow whose first version both sides have.
func SettledRecord(state shadow.State) []byte {
	r := &record{Settled: 1}
	r.setBase(shadow.Document{State: state}, 1, 1)
	data, err := r.encode()
	if err != nil {
		panic(err)
	}
	return data
}
