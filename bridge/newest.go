package bridge

import (
	"strings"
	"time"

	"edgeshadow/localshadow/shadow"
)

// stamp is when a local client wrote a leaf, by the only clock that a box
// without a battery has: the time since its process began.
type stamp struct {
	Boot uint64 `json:"boot"`
	At   int64  `json:"at"` // nanoseconds
}

// clearly is the difference of two times from which one is the newer.
const clearly = int64(2 * time.Second)

// separator joins the members of a path; no key can contain it unescaped in a
// shadow that anybody wrote by hand, and where one does, two leaves share a time.
const separator = "\x1f"

// stamp notes the leaves that a change wrote or removed.
func (c *change) stamp(prev, doc *shadow.Document, now time.Time) {
	var was, is shadow.State
	if prev != nil {
		was = prev.State
	}
	if doc != nil {
		is = doc.State
	}
	if c.stamps == nil {
		c.stamps = map[string]time.Time{}
	}
	leaves(shadow.Diff(was, is), "", func(path string) { c.stamps[path] = now })
}

// leaves visits the paths of a patch's leaves.
func leaves(o *shadow.Object, at string, fn func(path string)) {
	for key, v := range o.All() {
		path := key
		if at != "" {
			path = at + separator + key
		}
		if inner, ok := v.(*shadow.Object); ok && inner.Len() > 0 {
			leaves(inner, path, fn)
			continue
		}
		fn(path)
	}
}

// stamp keeps the times of local writes until both sides are equal.
func (s *step) stamp(stamps map[string]time.Time) {
	if s.r.Stamps == nil {
		s.r.Stamps = map[string]stamp{}
	}
	c := &s.engine.clock
	for path, at := range stamps {
		s.r.Stamps[path] = stamp{c.boot, int64(at.Sub(c.began))}
	}
	s.changed = true
}

// policy decides the conflicts of a merge with a document of the cloud.
func (s *step) policy(cloud shadow.Document, timestamp int64) shadow.Policy {
	p := s.w.rule.policy
	if !s.w.rule.stamps() {
		return p
	}
	p.Newest = func(section string, path []string) shadow.Side {
		meta, newest := cloud.Metadata.Desired, s.w.rule.newest.desired
		if section == "reported" {
			meta, newest = cloud.Metadata.Reported, s.w.rule.newest.reported
		}
		if !newest {
			return 0
		}
		here, blur, ok := s.written(section, path)
		there := cloudTime(meta, path, timestamp)
		if !ok || there == 0 {
			return 0
		}
		// The cloud's stamp is cut to its second.
		switch difference := here - (there*int64(time.Second) + int64(time.Second/2)); {
		case difference > clearly+blur:
			return shadow.Local
		case -difference > clearly+blur:
			return shadow.Cloud
		default:
			return 0
		}
	}
	return p
}

// written is the cloud's time at which a local client wrote at or below a path
// last, or above it, and its error.
func (s *step) written(section string, path []string) (at, blur int64, ok bool) {
	want := strings.Join(append([]string{section}, path...), separator)
	for key, st := range s.r.Stamps {
		if key != want && !strings.HasPrefix(key, want+separator) && !strings.HasPrefix(want, key+separator) {
			continue
		}
		if t, err, known := s.engine.clock.date(st); known && (!ok || t > at) {
			at, blur, ok = t, err, true
		}
	}
	return at, blur, ok
}

// cloudTime is when the cloud's leaf was written; of one that was removed,
// when the message says that it was: 0 for a document that was got, which
// does not tell.
func cloudTime(meta *shadow.Object, path []string, removed int64) int64 {
	var v any = meta
	for _, key := range path {
		o, _ := v.(*shadow.Object)
		inner, ok := o.Get(key)
		if !ok {
			return removed
		}
		v = inner
	}
	return latest(v)
}

func latest(v any) (t int64) {
	switch v := v.(type) {
	case shadow.Timestamp:
		return int64(v)
	case *shadow.Object:
		for _, e := range v.All() {
			t = max(t, latest(e))
		}
	case []any:
		for _, e := range v {
			t = max(t, latest(e))
		}
	}
	return t
}
