package relay

import (
	"maps"
	"slices"
	"sync/atomic"
	"time"
)

// Stats are the relay's numbers.
type Stats struct {
	Classes  []ClassStats `json:"classes"`
	Received int64        `json:"received"` // from the cloud
	Stray    int64        `json:"stray"`    // from the cloud, that no rule takes
}

// ClassStats are the numbers of one journal; the counters run since the start.
type ClassStats struct {
	Class    string        `json:"class"`
	Pending  int64         `json:"pending"`  // on disk and not acknowledged by the cloud
	Bytes    int64         `json:"bytes"`    // of its files
	Limit    int64         `json:"limit"`    // of Bytes
	Taken    int64         `json:"taken"`    // from local clients
	Sent     int64         `json:"sent"`     // acknowledged by the cloud
	Overtook int64         `json:"overtook"` // sent before older messages of other topics
	Clock    time.Duration `json:"clock"`    // what ages are measured with

	// What was not, or will not be, sent.
	Dropped    int64 `json:"dropped"`    // to make room
	Expired    int64 `json:"expired"`    // too old
	Superseded int64 `json:"superseded"` // by a newer message of the topic
	Refused    int64 `json:"refused"`    // no room: not acknowledged
	Failed     int64 `json:"failed"`     // the disk could not take them: not acknowledged
	TooLarge   int64 `json:"too_large"`  // the cloud would not take payload or topic
	Damaged    int64 `json:"damaged"`    // lost on the disk
}

// Lost are the counters of what was not, or will not be, sent, by reason.
func (s ClassStats) Lost() map[string]int64 {
	return map[string]int64{
		"dropped": s.Dropped, "expired": s.Expired, "superseded": s.Superseded, "refused": s.Refused,
		"failed": s.Failed, "too_large": s.TooLarge, "damaged": s.Damaged,
	}
}

type downStats struct{ received, stray atomic.Int64 }

// Stats reads them.
func (r *Relay) Stats() Stats {
	r.mu.Lock()
	journals := maps.Clone(r.journals)
	r.mu.Unlock()
	s := Stats{Classes: []ClassStats{}, Received: r.down.received.Load(), Stray: r.down.stray.Load()}
	for _, name := range slices.Sorted(maps.Keys(journals)) {
		s.Classes = append(s.Classes, journals[name].numbers())
	}
	return s
}

func (j *journal) numbers() ClassStats {
	j.mu.Lock()
	defer j.mu.Unlock()
	s := j.stats
	s.Class, s.Bytes, s.Limit, s.Clock = j.name, j.bytes, int64(j.class.Size), j.clock()
	s.Pending, s.Overtook = j.progress.pending(j.head), j.outlet.overtook
	return s
}
