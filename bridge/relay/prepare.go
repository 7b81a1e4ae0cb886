package relay

import (
	"errors"
	"fmt"
)

// Prepare makes ready for another configuration: commit puts it in force and
// can't fail, discard forgets it. Journals of classes that are not named any
// more send what they hold.
func (r *Relay) Prepare(cfg Config, classes Classes) (commit, discard func(), err error) {
	all, faults := compile(cfg, classes)
	if len(faults) > 0 {
		return nil, nil, fmt.Errorf("relay: %w", errors.Join(faults...))
	}
	needed := r.needed(all, classes)
	fresh := map[string]*journal{}
	discard = func() {
		for _, j := range fresh {
			_ = j.Close() // nothing was written to it
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for name, class := range needed {
		if _, ok := r.journals[name]; ok {
			continue
		}
		j, err := r.openJournal(name, class)
		if err != nil {
			discard()
			return nil, nil, fmt.Errorf("relay: %w", err)
		}
		fresh[name] = j
	}
	commit = func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		for name, j := range fresh {
			r.journals[name] = j
			if r.run != nil {
				r.run(j)
			}
		}
		for name, class := range needed {
			r.journals[name].bound(class)
		}
		r.rules.Store(&all)
	}
	return commit, discard, nil
}

// bound sets other bounds; a smaller size holds from the next message on.
func (j *journal) bound(c Class) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.class = c
}
