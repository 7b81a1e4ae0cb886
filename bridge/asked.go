package bridge

import (
	"time"

	"edgeshadow/localshadow/shadow"
)

// Asked is how old a desired value of a shadow was when the cloud was last
// heard, by the cloud's own clock: from the stamp of the value to that of the
// last message that was merged. Both are 0 when the cloud does not desire it.
func (r *Reconciler) Asked(id shadow.ID, path []string, value any) (age time.Duration, stamp int64) {
	data, err := r.service.Record(id)
	if err != nil {
		return 0, 0
	}
	rec, err := decodeRecord(data)
	if err != nil || !rec.Exists {
		return 0, 0
	}
	var at any = rec.Base.State.Desired
	for _, key := range path {
		o, object := at.(*shadow.Object)
		if !object {
			return 0, 0
		}
		inner, ok := o.Get(key)
		if !ok {
			return 0, 0
		}
		at = inner
	}
	stamp = cloudTime(rec.Base.Metadata.Desired, path, 0)
	if !shadow.Equal(at, value) || stamp == 0 || rec.Seen < stamp {
		return 0, 0
	}
	return time.Duration(rec.Seen-stamp) * time.Second, stamp
}
