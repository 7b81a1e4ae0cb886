package bridge

import (
	"fmt"

	"edgeshadow/localshadow/shadow"
)

// event is something that the cloud did to a shadow. Each takes exactly one
// place on the shadow's number line: an update its version, a delete of
// version d the number d+1.
type event struct {
	number int64
	gone   bool
	shadow.Accepted
}

// parseEvent reads update/accepted or delete/accepted.
func parseEvent(suffix string, payload []byte) (event, error) {
	a, err := shadow.ParseAccepted(payload)
	if err != nil {
		return event{}, fmt.Errorf("read %s: %w", suffix, err)
	}
	e := event{number: a.Version, Accepted: a}
	if suffix == "delete/accepted" {
		e.gone = true
		e.number++
	} else if !a.HasState {
		return event{}, fmt.Errorf("read %s: no state", suffix)
	}
	return e, nil
}

// verdict is what to do with a foreign event.
type verdict int

const (
	apply     verdict = iota
	drop              // a duplicate, or older than what is held
	wait              // beyond a gap
	get               // the document is needed to tell
	restarted         // the cloud's counter went backwards: the shadow is a new one
)

// classify places a foreign event on the number line of a record.
func classify(r *record, e event) verdict {
	switch {
	case !r.Known:
		return get
	case e.number <= r.Number:
		if e.Timestamp > r.Seen+1 {
			return restarted
		}
		return drop
	case e.number == 1 && r.Number == 0:
		return apply // the first of all, and so the whole document
	case e.Timestamp-r.Seen > int64(counterLife.Seconds()):
		return restarted // or might be: then the number means nothing
	case e.number == r.Number+1:
		return apply
	default:
		return wait
	}
}

// token reads the client token of a message as text; "" when there is none.
func token(t *string) string {
	if t == nil {
		return ""
	}
	return *t
}
