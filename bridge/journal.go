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

// journal writes the conflicts of a step.
func (s *step) journal() error {
	for _, c := range s.conflicts {
		entry, err := json.Marshal(Decision{
			Time: time.Now().UTC(), Thing: s.w.id.Thing, Shadow: s.w.id.Name, Path: c.Path,
			Winner: c.Winner.String(), Kept: text(c.Kept, c.KeptAbsent), Lost: text(c.Lost, c.LostAbsent),
			Rule: s.rule, Local: s.version, Cloud: s.r.Number,
		})
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
