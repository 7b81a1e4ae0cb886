package bridge

import (
	"encoding/json"
	"time"

	"edgeshadow/localshadow/shadow"
)

// Step is what a reconcile would do for one shadow now.
type Step struct {
	Thing   string          `json:"thing"`
	Shadow  string          `json:"shadow,omitempty"`
	Message string          `json:"message"` // get, update, delete; none: it is held
	Why     string          `json:"why"`
	Version int64           `json:"version,omitempty"` // that the message is conditional on
	Patch   json.RawMessage `json:"patch,omitempty"`   // of an update
	NextTry *time.Time      `json:"next_try,omitempty"`
}

// Plan tells the next message of each shadow that has one, or that is held, in
// order of thing and name. Nothing is sent for it.
func (r *Reconciler) Plan() ([]Step, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := []Step{}
	err := r.look(func(id shadow.ID, rest rest) bool {
		return rest.flags&(dirty|unknown|doubt) != 0 || r.book.awake[id] != nil
	}, func(s *step) {
		i := s.next()
		if i.kind == "" && !s.open() || i.kind == "get" && !s.r.Known && s.local == nil && s.w.ok != 0 {
			return
		}
		step := Step{Thing: s.w.id.Thing, Shadow: s.w.id.Name, Message: i.kind, Why: i.why, Version: i.sent}
		if i.kind == "" {
			step.Message = "none"
		}
		if i.kind == "update" {
			step.Patch = shadow.Append(nil, i.patch)
		}
		if !s.w.wake.IsZero() {
			wake := s.w.wake
			step.NextTry = &wake
		}
		out = append(out, step)
	})
	return out, err
}

// Difference is a value that the two sides do not share.
type Difference struct {
	Path  string          `json:"path"`
	Local json.RawMessage `json:"local,omitempty"` // absent: not here
	Cloud json.RawMessage `json:"cloud,omitempty"` // absent: not there
}

// Comparison is a shadow here and in the cloud, as that was seen last.
type Comparison struct {
	ShadowStatus
	Differences []Difference `json:"differences"`
}

// Diff compares one shadow with what is known of the cloud; nothing is asked.
func (r *Reconciler) Diff(id shadow.ID) (Comparison, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var c Comparison
	found := false
	err := r.look(func(other shadow.ID, _ rest) bool { return other == id }, func(s *step) {
		found = s.local != nil || s.r.Known
		c.ShadowStatus = s.status()
		c.Differences = differences(s)
	})
	if err == nil && !found {
		err = shadow.NotFound(id)
	}
	return c, err
}

func differences(s *step) []Difference {
	var here shadow.State
	if s.local != nil {
		here = s.local.State
	}
	there := s.base().State
	out := []Difference{}
	section := func(name string, here, there *shadow.Object) {
		patch, _ := shadow.Diff(shadow.State{Desired: there}, shadow.State{Desired: here}).Get("desired")
		o, ok := patch.(*shadow.Object)
		if !ok { // null: the whole section is gone
			o = shadow.Diff(shadow.State{}, shadow.State{Desired: there})
			inner, _ := o.Get("desired")
			o, _ = inner.(*shadow.Object)
		}
		differing(o, here, there, name, &out)
	}
	section("desired", here.Desired, there.Desired)
	section("reported", here.Reported, there.Reported)
	return out
}

// differing walks the leaves of a patch.
func differing(patch, here, there *shadow.Object, path string, out *[]Difference) {
	for key, v := range patch.All() {
		at := path + "." + key
		h, inHere := here.Get(key)
		t, inThere := there.Get(key)
		hereObject, a := h.(*shadow.Object)
		thereObject, b := t.(*shadow.Object)
		if inner, ok := v.(*shadow.Object); ok && (a && b) {
			differing(inner, hereObject, thereObject, at, out)
			continue
		}
		d := Difference{Path: at}
		if inHere {
			d.Local = shadow.Append(nil, h)
		}
		if inThere {
			d.Cloud = shadow.Append(nil, t)
		}
		if string(d.Local) != string(d.Cloud) {
			*out = append(*out, d)
		}
	}
}
