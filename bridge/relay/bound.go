package relay

import (
	"os"
	"time"
)

// rotate begins a new segment.
func (j *journal) rotate() error {
	if j.active != nil {
		_ = j.active.Close() // it is on disk
		j.active = nil
	}
	path := segmentPath(j.dir, j.head)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	if err := syncDir(j.dir); err != nil {
		_ = f.Close()
		return err
	}
	if n := len(j.segments); n > 0 && j.segments[n-1].first == j.head {
		j.segments = j.segments[:n-1] // an empty one, made anew
	}
	j.active = f
	j.segments = append(j.segments, &segment{path: path, first: j.head, next: j.head})
	return nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// fit makes room for so many bytes; false when the class lets nothing go.
func (j *journal) fit(need int64) bool {
	limit := int64(j.class.Size) - stateReserve
	for j.bytes+need > limit {
		if len(j.segments) == 0 || j.bytes == 0 {
			return false
		}
		if j.segments[0].next > j.progress.low && j.class.Full == Refuse {
			return false
		}
		j.drop(&j.stats.Dropped)
	}
	return true
}

// drop lets the oldest segment go. What of it was not sent is counted, but what
// is the last message of its topic, where that counts: it moves to the end.
func (j *journal) drop(counter *int64) {
	s := j.segments[0]
	var lost int64
	var survivors []*entry
	if s.next > j.progress.low {
		_, err := s.scan(func(r *record) {
			if j.progress.has(r.seq) {
				return
			}
			onItsWay := j.outlet.forget(r)
			switch {
			case j.superseded(r):
				j.stats.Superseded++
			case j.class.Full == Latest && j.latest[r.topic] == r.seq:
				survivors = append(survivors, &entry{topic: r.topic, payload: r.payload, qos: r.qos, retain: r.retain, clock: r.clock, acked: func() {}})
			case !onItsWay:
				lost++
			}
		})
		if err != nil {
			j.complain("read", "journal can't be read", "class", j.name, "err", err)
		}
	}
	j.remove(0)
	j.progress.below(s.next)
	j.outlet.skip(s.next)
	j.dirty = true
	switch n := int64(len(survivors)); {
	case n == 0:
	case 4*n <= 3*int64(s.next-s.first):
		j.requeue(survivors)
	default:
		lost += n // moving them would gain next to nothing
	}
	if *counter += lost; lost > 0 {
		j.complain("drop", "messages dropped: the journal is full or they are too old", "class", j.name, "messages", lost, "policy", string(j.class.Full))
	}
}

// requeue writes messages anew, before those that wait.
func (j *journal) requeue(entries []*entry) {
	j.queue = append(entries, j.queue...)
	j.work()
}

// remove deletes a segment's file.
func (j *journal) remove(i int) {
	s := j.segments[i]
	if i == len(j.segments)-1 && j.active != nil {
		_ = j.active.Close()
		j.active = nil
	}
	if err := os.Remove(s.path); err != nil {
		j.complain("remove", "journal: a segment can't be removed", "class", j.name, "err", err)
	}
	j.bytes -= s.size
	j.segments = append(j.segments[:i:i], j.segments[i+1:]...)
}

// sweep deletes segments that were sent, but for the last, whose name keeps the
// number of the next record.
func (j *journal) sweep() {
	for len(j.segments) > 1 && j.segments[0].next <= j.progress.low {
		j.remove(0)
	}
}

// old tells whether a message of this clock is too old to be sent.
func (j *journal) old(clock time.Duration) bool {
	return j.class.Age > 0 && j.clock()-clock > j.class.Age
}

// expire lets segments go all of whose messages are too old.
func (j *journal) expire() {
	j.mu.Lock()
	defer j.mu.Unlock()
	for len(j.segments) > 1 && j.old(j.segments[0].newest) {
		j.drop(&j.stats.Expired)
	}
}
