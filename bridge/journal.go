package bridge

import (
	"encoding/json"
	"time"

	"edgeshadow/localshadow/shadow"
)

// Decision is an entry of the journal: a value that one side lost, and why.
// It is written in the transaction that decided it.
type Decision struct {
	Time   time.Time `json:"time"` // informs only
	Thing  string    `json:"thing"`
	Shadow string    `json:"shadow,omitempty"`
	Path   string    `json:"path"`
	Winner string    `json:"winner"`         // cloud or local
	Kept   string    `json:"kept,omitempty"` // JSON; empty: the value was removed
	Lost   string    `json:"lost,omitempty"` // JSON; empty: the removal was undone
	Rule   string    `json:"rule"`
	Local  int64     `json:"local_version"`
	Cloud  int64     `json:"cloud_version"`
}

// decided notes conflicts and the rule that settled them.
func (s *step) decided(rule string, conflicts []shadow.Conflict) {
	for _, c := range conflicts {
		s.decisions = append(s.decisions, Decision{
			Time: time.Now().UTC(), Thing: s.w.id.Thing, Shadow: s.w.id.Name, Path: c.Path,
			Winner: c.Winner.String(), Kept: text(c.Kept, c.KeptAbsent), Lost: text(c.Lost, c.LostAbsent),
			Rule: rule, Cloud: s.r.Number,
		})
	}
}

// journal writes the decisions of a step.
func (s *step) journal() error {
	for i := range s.decisions {
		s.decisions[i].Local = s.version
		entry, err := json.Marshal(s.decisions[i])
		if err != nil {
			return err
		}
		if err := s.tx.AppendDecision(entry); err != nil {
			return err
		}
	}
	return nil
}

func text(v any, absent bool) string {
	if absent {
		return ""
	}
	return string(shadow.Append(nil, v))
}

// Decisions reads the journal of one shadow, or of all when id is nil, newest last.
func (r *Reconciler) Decisions(id *shadow.ID) ([]Decision, error) {
	entries, err := r.service.Decisions(id)
	if err != nil {
		return nil, err
	}
	out := make([]Decision, 0, len(entries))
	for _, e := range entries {
		var d Decision
		if err := json.Unmarshal(e, &d); err != nil {
			return nil, err
		}
		out = append(out, d)
	}
	return out, nil
}
