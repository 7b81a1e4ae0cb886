package demo

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"edgeshadow/localshadow/shadow"
)

// shadows tells every change that a subscriber sees on either side.
type shadows struct{ t *timeline }

func newShadows(t *timeline) *shadows { return &shadows{t} }

// documents is what update/documents carries.
type documents struct {
	Previous, Current *struct {
		State   map[string]json.RawMessage
		Version int64
	}
}

func (s *shadows) here(topic string, payload []byte)  { s.see("gateway", s.t.here, topic, payload) }
func (s *shadows) there(topic string, payload []byte) { s.see("cloud", s.t.there, topic, payload) }

func (s *shadows) see(side string, versions map[string]int64, topic string, payload []byte) {
	id, _, ok := shadow.ParseTopic(topic)
	var d documents
	if !ok || json.Unmarshal(payload, &d) != nil || d.Current == nil {
		return
	}
	if s.t.saw(versions, id.String(), d.Current.Version) {
		s.t.tell(side, id.String(), "%s: %s", id, difference(d))
	}
}

// difference is what changed, for people: "reported power off → on".
func difference(d documents) string {
	var sections []string
	for _, section := range []string{"desired", "reported"} {
		was, is := map[string]json.RawMessage{}, map[string]json.RawMessage{}
		if d.Previous != nil {
			_ = json.Unmarshal(d.Previous.State[section], &was) // absent: empty
		}
		_ = json.Unmarshal(d.Current.State[section], &is)
		keys := slices.AppendSeq(slices.Collect(maps.Keys(was)), maps.Keys(is))
		slices.Sort(keys)
		var changes []string
		for _, key := range slices.Compact(keys) {
			old, new := string(was[key]), string(is[key])
			switch {
			case old == new:
			case old == "":
				changes = append(changes, key+" "+new)
			case new == "":
				changes = append(changes, key+" removed")
			default:
				changes = append(changes, key+" "+old+" → "+new)
			}
		}
		if len(changes) > 0 {
			sections = append(sections, section+" "+strings.Join(changes, ", "))
		}
	}
	if len(sections) == 0 {
		return "the same again"
	}
	return strings.ReplaceAll(strings.Join(sections, "; "), `"`, "")
}
