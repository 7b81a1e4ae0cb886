package bridge

import (
	"fmt"
	"maps"
	"slices"

	"edgeshadow/localshadow/shadow"
)

// Know names things of this gateway. Things with a local shadow are known anyway.
func (r *Reconciler) Know(things ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, t := range things {
		r.learn(t)
	}
	r.poke()
}

// Things are those that are known, in order.
func (r *Reconciler) Things() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Sorted(maps.Keys(r.book.known))
}

// learn takes a thing in.
func (r *Reconciler) learn(thing string) {
	if !r.book.known[thing] {
		r.book.known[thing] = true
		r.ask(thing)
	}
}

// ask puts the shadows in line that a thing may have in the cloud alone: the
// classic one, and those that the configuration names. The shadow protocol
// lists nothing, so any other shows when it changes.
func (r *Reconciler) ask(thing string) {
	for _, name := range r.book.cfg.names() {
		if id := (shadow.ID{Thing: thing, Name: name}); r.book.add(id, unknown|doubt) {
			r.enqueue(id, command)
		}
	}
}

// Forget is the end of a thing that Know has named: nothing is asked or taken in
// for it any more, as if it had never been. One that has a shadow, here or in the
// cloud as far as is known, stays.
func (r *Reconciler) Forget(thing string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	kept := false
	var ids []shadow.ID
	err := r.look(func(id shadow.ID, _ rest) bool { return id.Thing == thing }, func(s *step) {
		kept = kept || s.local != nil || s.r.Exists || s.r.Flight != nil
		ids = append(ids, s.w.id)
	})
	if err != nil {
		return fmt.Errorf("forget thing %s: %w", thing, err)
	}
	if kept {
		return nil
	}
	for _, id := range ids {
		r.drop(id)
	}
	b := &r.book
	b.ring = slices.DeleteFunc(b.ring, func(id shadow.ID) bool { return id.Thing == thing })
	delete(b.known, thing)
	return nil
}

// drop takes a shadow out of the book, but for the ring.
func (r *Reconciler) drop(id shadow.ID) {
	b := &r.book
	if b.peek(id).flags&first != 0 {
		r.firsts--
	}
	if w := b.awake[id]; w != nil {
		r.finish(w)
		delete(b.awake, id)
	}
	delete(b.all, id)
}
