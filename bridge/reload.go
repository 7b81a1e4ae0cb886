package bridge

import (
	"fmt"

	"edgeshadow/localshadow/shadow"
)

// Prepare makes ready for another configuration. Commit puts it in force:
// shadows that it takes out are left as they are, those that it takes in are
// compared, and what is on its way for the others goes on under the new rules.
func (r *Reconciler) Prepare(cfg Config) (commit, discard func(), err error) {
	if faults := append(cfg.Validate(), cfg.Budget.Validate()...); len(faults) > 0 {
		return nil, nil, faults[0]
	}
	var stored []shadow.ID
	err = r.service.Records(func(id shadow.ID, _ []byte, _ int64, _ bool) error {
		stored = append(stored, id)
		return nil
	})
	if err != nil {
		return nil, nil, fmt.Errorf("read the sync records: %w", err)
	}
	return func() { r.commit(cfg, stored) }, func() {}, nil
}

func (r *Reconciler) commit(cfg Config, stored []shadow.ID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stamping.Store(cfg.stamps())
	r.budget.limit = cfg.Budget
	b := &r.book
	b.cfg = cfg
	ring := b.ring[:0]
	for _, id := range b.ring {
		if cfg.syncs(id) {
			ring = append(ring, id)
			continue
		}
		r.drop(id)
	}
	clear(b.ring[len(ring):])
	b.ring = ring
	for _, w := range b.everyone() {
		w.rule = b.rule(w.id)
	}
	for _, id := range stored {
		b.known[id.Thing] = true
		if b.add(id, unknown|dirty) {
			r.enqueue(id, command)
		}
	}
	for thing := range b.known {
		r.ask(thing)
	}
	for _, id := range b.ring { // another rule may find something to do
		b.poke(id, func(rest *rest) { rest.flags |= dirty })
		r.enqueue(id, changed)
	}
	r.poke()
}
