package bridge

import (
	"cmp"
	"slices"
	"time"

	"edgeshadow/localshadow/shadow"
)

// Stats count since the start.
type Stats struct {
	Shadows     int   `json:"shadows"`     // synced
	Waiting     int   `json:"waiting"`     // in a queue
	Outstanding int   `json:"outstanding"` // requests without an answer
	Gets        int64 `json:"gets"`
	Pushes      int64 `json:"pushes"` // updates and deletes
	Foreign     int64 `json:"foreign"`
	Rejected    int64 `json:"rejected"`
	Conflicts   int64 `json:"conflicts"`
}

// Stats reads the numbers.
func (r *Reconciler) Stats() Stats {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.stats
	s.Shadows, s.Outstanding = len(r.works), r.outstanding
	for _, w := range r.works {
		if w.class != idle {
			s.Waiting++
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
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []ShadowStatus
	for _, w := range r.works {
		var st ShadowStatus
		err := r.step(w, func(s *step) error {
			st = s.status()
			return nil
		})
		if err != nil {
			return nil, err
		}
		if st.State != "absent" {
			out = append(out, st)
		}
	}
	slices.SortFunc(out, func(a, b ShadowStatus) int {
		return cmp.Or(cmp.Compare(a.Thing, b.Thing), cmp.Compare(a.Shadow, b.Shadow))
	})
	return out, nil
}

func (s *step) status() ShadowStatus {
	w := s.w
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
	st.DirtySince, st.LastSuccess, st.NextTry = optional(w.dirtySince), optional(w.lastOK), optional(w.wake)
	if st.State == "dirty" && w.dirtySince.IsZero() {
		now := time.Now()
		w.dirtySince, st.DirtySince = now, &now
	}
	return st
}

// state is the word for a shadow's state.
func (s *step) state() string {
	w := s.w
	different := s.r.dirty(s.local) != nil || (s.local != nil) != s.r.Exists
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
	case !w.wake.IsZero() && different:
		return "waiting"
	case different:
		return "dirty"
	case s.local == nil:
		return "absent"
	default:
		return "clean"
	}
}

// Synced tells whether a shadow is equal on both sides, as far as is known.
func (r *Reconciler) Synced(id shadow.ID) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	w := r.works[id]
	if w == nil {
		return false
	}
	state := ""
	err := r.step(w, func(s *step) error {
		state = s.state()
		return nil
	})
	return err == nil && (state == "clean" || state == "absent")
}
