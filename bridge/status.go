package bridge

import (
	"cmp"
	"slices"
	"time"

	"edgeshadow/localshadow/shadow"
)

// Stats count since the start.
type Stats struct {
	Shadows     int     `json:"shadows"`     // synced
	Dirty       int     `json:"dirty"`       // that differ from the cloud, as far as is known
	Awake       int     `json:"awake"`       // that something is done for
	Waiting     int     `json:"waiting"`     // in a queue
	Outstanding int     `json:"outstanding"` // requests without an answer
	Rate        float64 `json:"rate"`        // requests that may leave in a second
	Gets        int64   `json:"gets"`
	Pushes      int64   `json:"pushes"` // updates and deletes
	Foreign     int64   `json:"foreign"`
	Rejected    int64   `json:"rejected"`
	Throttled   int64   `json:"throttled"` // 429
	Conflicts   int64   `json:"conflicts"`

	Budget BudgetStatus `json:"budget"`
}

// Stats reads the numbers.
func (r *Reconciler) Stats() Stats {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.stats
	s.Shadows, s.Awake, s.Outstanding, s.Rate = len(r.book.all), len(r.book.awake), r.outstanding, r.pace.rate
	s.Budget = r.budget.status(time.Now())
	for id := range r.book.all {
		rest := r.book.peek(id)
		if rest.class != idle {
			s.Waiting++
		}
		if rest.flags&dirty != 0 {
			s.Dirty++
		}
	}
	return s
}

// ShadowStatus is how one shadow stands to the cloud.
type ShadowStatus struct {
	Thing        string     `json:"thing"`
	Shadow       string     `json:"shadow,omitempty"`
	State        string     `json:"state"` // clean, dirty, unknown, absent, asking, pushing, ambiguous, gap, waiting, forbidden, oversize, rejected
	LocalVersion int64      `json:"local_version"`
	CloudVersion int64      `json:"cloud_version"`
	DirtySince   *time.Time `json:"dirty_since,omitempty"`
	LastSuccess  *time.Time `json:"last_success,omitempty"`
	LastError    string     `json:"last_error,omitempty"`
	NextTry      *time.Time `json:"next_try,omitempty"`
}

// Status reads how every synced shadow stands, in order of thing and name.
func (r *Reconciler) Status() ([]ShadowStatus, error) {
	return r.statuses(func(shadow.ID, rest) bool { return true }, "absent")
}

// Unsynced is Status of the shadows that are not known to be equal on both
// sides, which are few.
func (r *Reconciler) Unsynced() ([]ShadowStatus, error) {
	return r.statuses(func(id shadow.ID, rest rest) bool {
		return rest.flags&(dirty|unknown) != 0 || r.book.awake[id] != nil
	}, "absent", "clean")
}

// statuses reads those of the shadows that want wants, without some states.
func (r *Reconciler) statuses(want func(id shadow.ID, r rest) bool, without ...string) ([]ShadowStatus, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := []ShadowStatus{}
	err := r.look(want, func(s *step) {
		if st := s.status(); !slices.Contains(without, st.State) {
			out = append(out, st)
		}
	})
	return out, err
}

// look reads shadows in order of thing and name, and changes nothing. The
// engine's lock is held.
func (r *Reconciler) look(want func(id shadow.ID, r rest) bool, fn func(s *step)) error {
	var ids []shadow.ID
	for id := range r.book.all {
		if want(id, r.book.peek(id)) {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, order)
	for chunk := range slices.Chunk(ids, maxLook) {
		var jobs []*job
		for _, id := range chunk {
			w := r.book.awake[id]
			if w == nil {
				w = &work{id: id, rule: r.book.rule(id), rest: r.book.all[id]}
			}
			jobs = append(jobs, &job{w: w, look: fn})
		}
		if err := r.run(jobs); err != nil {
			return err
		}
	}
	return nil
}

// maxLook are read at once, so that clients get their turn in between.
const maxLook = 64

func order(a, b shadow.ID) int {
	return cmp.Or(cmp.Compare(a.Thing, b.Thing), cmp.Compare(a.Name, b.Name))
}

// sorted are the keys of a map by shadow.
func sorted[V any](m map[shadow.ID]V) []shadow.ID {
	ids := make([]shadow.ID, 0, len(m))
	for id := range m {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, order)
	return ids
}

func (s *step) status() ShadowStatus {
	w, b := s.w, &s.engine.book
	st := ShadowStatus{
		Thing: w.id.Thing, Shadow: w.id.Name, State: s.state(),
		LocalVersion: s.version, CloudVersion: s.r.Number, LastError: w.lastError,
	}
	optional := func(t time.Time) *time.Time {
		if t.IsZero() {
			return nil
		}
		return &t
	}
	st.DirtySince, st.LastSuccess, st.NextTry = optional(b.time(w.since)), optional(b.time(w.ok)), optional(w.wake)
	return st
}

// state is the word for a shadow's state.
func (s *step) state() string {
	w := s.w
	switch {
	case w.state != "":
		return w.state
	case s.r.Block != nil:
		return s.r.Block.Why
	case w.request != nil && w.request.kind == "get":
		return "asking"
	case w.request != nil:
		return "pushing"
	case s.r.Flight != nil:
		return "ambiguous"
	case len(w.early) > 0:
		return "gap"
	case !s.r.Known && s.local != nil:
		return "unknown"
	case (s.open() || w.needGet) && !w.wake.IsZero():
		return "waiting"
	case w.needGet:
		return "gap"
	case s.open():
		return "dirty"
	case s.local == nil:
		return "absent"
	default:
		return "clean"
	}
}

// Synced tells whether a shadow is equal on both sides, as far as is known.
func (r *Reconciler) Synced(id shadow.ID) bool {
	state := ""
	r.mu.Lock()
	defer r.mu.Unlock()
	err := r.look(func(other shadow.ID, _ rest) bool { return other == id }, func(s *step) { state = s.state() })
	return err == nil && (state == "clean" || state == "absent")
}
