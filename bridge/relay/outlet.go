package relay

import (
	"io"
	"slices"
)

const (
	maxTopics    = 4096    // counted one by one
	maxLive      = 1024    // messages kept in memory until they are sent
	maxLiveBytes = 1 << 20 // of their payloads
	liveShare    = 4       // of so many messages one at least is of the backlog
)

// outlet is the order in which records are sent: a backlog, read from the disk
// in order, and live ones, in memory, which go first when no older message of
// their topic is in the backlog. The journal's mutex guards it.
type outlet struct {
	cursor   uint64 // of the next record of the backlog
	reader   *reader
	of       *segment // the reader's
	peeked   *record  // read, not yet taken
	live     []*record
	bytes    int               // of live
	topics   map[string]int    // of live
	inflight map[uint64]string // topics of what was sent and is not acknowledged
	waiting  map[string]int    // of the backlog: messages by topic
	crowded  bool              // more topics than are counted: nothing overtakes
	lost     bool              // something failed since the last rewind
	turn     int
	overtook int64
}

func newOutlet() outlet {
	return outlet{topics: map[string]int{}, inflight: map[uint64]string{}, waiting: map[string]int{}}
}

// wait counts a message of the backlog.
func (o *outlet) wait(topic string) {
	if _, ok := o.waiting[topic]; ok || len(o.waiting) < maxTopics {
		o.waiting[topic]++
	} else {
		o.crowded = true
	}
}

func (o *outlet) waited(topic string) {
	if n, ok := o.waiting[topic]; ok && n > 1 {
		o.waiting[topic]--
	} else {
		delete(o.waiting, topic)
	}
}

// add takes a new record: into memory when it may go before the backlog.
func (o *outlet) add(r *record, p *progress) {
	caughtUp := o.cursor == r.seq
	if caughtUp && !o.lost {
		clear(o.waiting)
		o.crowded = false
	}
	if o.crowded || o.waiting[r.topic] > 0 || len(o.live) >= maxLive || o.bytes >= maxLiveBytes || !caughtUp && len(p.spans) >= maxSpans {
		o.wait(r.topic)
		return
	}
	if caughtUp {
		o.cursor++
	} else {
		o.overtook++
	}
	o.live = append(o.live, r)
	o.bytes += len(r.payload)
	o.topics[r.topic]++
}

// pop takes the first live record.
func (o *outlet) pop() *record {
	r := o.live[0]
	o.live[0], o.live = nil, o.live[1:]
	o.unlive(r)
	return r
}

func (o *outlet) unlive(r *record) {
	o.bytes -= len(r.payload)
	if o.topics[r.topic]--; o.topics[r.topic] == 0 {
		delete(o.topics, r.topic)
	}
}

func (o *outlet) place(seq uint64) (int, bool) {
	return slices.BinarySearchFunc(o.live, seq, func(r *record, seq uint64) int {
		if r.seq < seq {
			return -1
		}
		return int(min(r.seq-seq, 1))
	})
}

// taken tells whether a record is not of the backlog.
func (o *outlet) taken(seq uint64, p *progress) bool {
	if p.has(seq) {
		return true
	}
	if _, ok := o.inflight[seq]; ok {
		return true
	}
	_, live := o.place(seq)
	return live
}

// forget lets a record go that was not acknowledged, and tells whether it is
// on its way.
func (o *outlet) forget(r *record) (onItsWay bool) {
	if _, ok := o.inflight[r.seq]; ok {
		delete(o.inflight, r.seq)
		return true
	}
	if i, ok := o.place(r.seq); ok {
		o.unlive(o.live[i])
		o.live = slices.Delete(o.live, i, i+1)
	} else {
		o.waited(r.topic)
	}
	return false
}

// rewind begins again with the oldest record that was not acknowledged.
func (o *outlet) rewind(low uint64) {
	for _, r := range o.live {
		o.wait(r.topic)
	}
	o.live, o.bytes, o.lost = nil, 0, false
	clear(o.topics)
	o.cursor = low
	o.close()
}

// skip passes over records that are not there any more.
func (o *outlet) skip(to uint64) {
	if o.cursor < to {
		o.cursor = to
		o.close()
	}
}

func (o *outlet) close() {
	if o.reader != nil {
		_ = o.reader.Close()
	}
	o.reader, o.of, o.peeked = nil, nil, nil
}

// next picks the record to send next and notes it as in flight; nil when there
// is none. Backlog says that it was read from the disk.
func (j *journal) next() (r *record, backlog bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	o := &j.outlet
	for {
		old := j.oldest()
		switch {
		case len(o.live) > 0 && (old == nil || o.turn%liveShare != 0 || o.topics[old.topic] > 0):
			r, backlog = o.pop(), false
		case old != nil:
			r, backlog = old, true
			o.peeked = nil
			o.cursor++
			o.waited(r.topic)
		default:
			return nil, false
		}
		o.turn++
		switch {
		case j.old(r.clock):
			j.stats.Expired++
		case j.superseded(r):
			j.stats.Superseded++
		default:
			o.inflight[r.seq] = r.topic
			return r, backlog
		}
		j.done(r.seq)
	}
}

// oldest reads the next record of the backlog, without taking it.
func (j *journal) oldest() *record {
	o := &j.outlet
	for o.peeked == nil && o.cursor < j.head {
		if o.taken(o.cursor, &j.progress) {
			o.cursor++
			continue
		}
		if err := j.seek(); err != nil {
			j.unreadable(err)
			continue
		}
		r, err := o.reader.read()
		switch {
		case err != nil:
			j.unreadable(err)
		case r.seq == o.cursor:
			o.peeked = r
		}
	}
	return o.peeked
}

// seek opens the segment of the cursor.
func (j *journal) seek() error {
	o := &j.outlet
	if o.of != nil && o.of.first <= o.cursor && o.cursor < o.of.next && o.reader.next <= o.cursor {
		return nil
	}
	o.close()
	for _, s := range j.segments {
		if s.first <= o.cursor && o.cursor < s.next {
			r, err := openReader(s)
			if err != nil {
				return err
			}
			o.reader, o.of = r, s
			return nil
		}
	}
	return io.ErrUnexpectedEOF
}

// unreadable passes over the rest of a segment that can't be read.
func (j *journal) unreadable(err error) {
	o := &j.outlet
	to := j.head
	for _, s := range j.segments {
		if s.next > o.cursor {
			to = s.next
			if s.first > o.cursor {
				to = s.first
			}
			break
		}
	}
	j.complain("read", "journal: a part can't be read, and is passed over", "class", j.name, "seq", o.cursor, "err", err)
	for ; o.cursor < to; o.cursor++ {
		if !o.taken(o.cursor, &j.progress) {
			j.stats.Damaged++
			j.done(o.cursor)
		}
	}
	o.close()
}

// done is a record that needs no sending any more.
func (j *journal) done(seq uint64) {
	j.progress.done(seq)
	j.dirty = true
	j.sweep()
	select {
	case j.sent <- struct{}{}:
	default:
	}
}

// finished takes the outcome of a record that was sent.
func (j *journal) finished(r *record, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	topic, ok := j.outlet.inflight[r.seq]
	if !ok {
		return // dropped meanwhile
	}
	delete(j.outlet.inflight, r.seq)
	if err != nil {
		j.outlet.wait(topic)
		j.outlet.lost = true
		return
	}
	j.stats.Sent++
	j.done(r.seq)
}

// rewind begins anew after the connection was lost. Nothing is in flight then.
func (j *journal) rewind() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.outlet.rewind(j.progress.low)
}
