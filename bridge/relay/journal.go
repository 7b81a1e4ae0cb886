package relay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"
)

const (
	// maxWaiting bounds the messages that wait for the disk, in bytes of memory:
	// what one fsync serves.
	maxWaiting = 4 << 20
	entrySize  = 256 // of a message without its payload
	// stateReserve is what the state file and its successor may take.
	stateReserve = 48 << 10

	minSegment = 64 << 10
	segmentsOf = 16 // parts of the bound; one part is what a full journal drops at once
	maxSegment = 4 << 20
)

// entry is a message on its way into the journal.
type entry struct {
	topic    string
	payload  []byte
	qos      byte
	retain   bool
	envelope bool
	acked    func()
	clock    time.Duration // of a message that moves; 0: now
	weight   int64         // what it holds of room
}

// journal is one class: an append-only log of segments, what of it was sent,
// and the order in which the rest is. Reading removes nothing.
type journal struct {
	name   string
	dir    string
	origin Origin
	log    *slog.Logger
	disk   func() error        // nil while it has room
	opened time.Time           // base's moment
	base   time.Duration       // of the journal's clock
	room   *semaphore.Weighted // bytes of memory for what waits for the disk
	nudge  chan struct{}       // capacity 1: there is something to send
	sent   chan struct{}       // capacity 1: something was sent, and not noted yet
	wg     sync.WaitGroup

	mu         sync.Mutex
	class      Class
	segments   []*segment // oldest first; the last one is written
	active     *os.File   // of the last segment; nil: the next write opens a new one
	bytes      int64      // of all segments
	head       uint64     // of the next record
	queue      []*entry
	committing bool
	closed     bool
	buffer     []byte
	progress   progress
	dirty      bool // since the state was saved
	outlet     outlet
	latest     map[string]uint64 // of each topic, for class.Full latest
	stats      ClassStats
	told       map[string]time.Time // warnings
}

// openJournal reads what is there and repairs the end that a power cut tore.
func openJournal(dir, name string, class Class, origin Origin, log *slog.Logger) (*journal, error) {
	j := &journal{
		name: name, dir: filepath.Join(dir, name), class: class, origin: origin, log: log, opened: time.Now(),
		room: semaphore.NewWeighted(maxWaiting), nudge: make(chan struct{}, 1), sent: make(chan struct{}, 1),
		outlet: newOutlet(), latest: map[string]uint64{}, told: map[string]time.Time{},
	}
	if err := os.MkdirAll(j.dir, 0o700); err != nil {
		return nil, err
	}
	j.progress, j.base = loadState(j.dir)
	j.head = j.progress.low
	paths, err := Segments(j.dir)
	if err != nil {
		return nil, err
	}
	for _, path := range paths {
		first, _ := parseSegment(filepath.Base(path))
		j.segments = append(j.segments, &segment{path: path, first: first})
	}
	if len(j.segments) > 0 {
		j.progress.below(j.segments[0].first)
	}
	for i := range j.segments {
		if err := j.load(i); err != nil {
			return nil, fmt.Errorf("journal %s: %w", name, err)
		}
	}
	// What is said of messages that were never on disk must not hit their numbers.
	j.progress.spans = slices.DeleteFunc(j.progress.spans, func(s span) bool { return s.to > j.head })
	j.outlet.cursor = j.progress.low
	j.sweep()
	return j, nil
}

// load reads a segment; the end of the last one is cut where it is torn.
func (j *journal) load(i int) error {
	s := j.segments[i]
	whole, err := s.scan(func(r *record) {
		j.base = max(j.base, r.clock)
		if !j.progress.has(r.seq) {
			j.outlet.wait(r.topic)
		}
		j.newest(r)
	})
	if err != nil {
		return err
	}
	j.head = max(j.head, s.next)
	j.bytes += s.size
	last := i == len(j.segments)-1
	switch {
	case !whole && last:
		j.log.Info("journal: the end was torn, and is cut", "class", j.name, "seq", s.next)
	case !whole:
		lost := j.segments[i+1].first - s.next
		j.stats.Damaged += int64(lost)
		j.log.Warn("journal: a damaged part is passed over", "class", j.name, "seq", s.next, "messages", lost)
	}
	if !last {
		for seq := s.next; seq < j.segments[i+1].first; seq++ {
			j.progress.done(seq)
		}
	}
	if whole {
		return nil
	}
	return os.Truncate(s.path, s.size)
}

// clock is the time that the journal was open, over all starts.
func (j *journal) clock() time.Duration { return j.base + time.Since(j.opened) }

// take puts a message into the queue for the disk; false when ctx ended before
// there was room, or the journal is closed. The last wills of a broker that
// stops come with a context that has ended.
func (j *journal) take(ctx context.Context, e *entry) bool {
	e.weight = min(int64(len(e.payload))+entrySize, maxWaiting)
	if !j.room.TryAcquire(e.weight) && j.room.Acquire(ctx, e.weight) != nil {
		return false
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed {
		j.room.Release(e.weight)
		return false
	}
	j.queue = append(j.queue, e)
	j.work()
	return true
}

// work lets one goroutine commit, while there is something to write.
func (j *journal) work() {
	if !j.committing {
		j.committing = true
		j.wg.Go(j.commit)
	}
}

// commit writes what waits, a batch and an fsync at a time, until nothing does.
func (j *journal) commit() {
	for {
		j.mu.Lock()
		batch := j.batch()
		if len(batch) == 0 {
			j.committing = false
			j.mu.Unlock()
			return
		}
		records, acked, err := j.prepare(batch)
		file, at := j.active, int64(0)
		if err == nil && len(records) > 0 {
			at = j.last().size
		}
		j.mu.Unlock()
		for _, e := range batch {
			j.room.Release(e.weight) // none for one that moved within the journal
		}
		if err == nil && len(records) > 0 {
			err = write(file, j.buffer, at)
		}
		j.mu.Lock()
		if err != nil {
			j.failed(err, int64(len(records)))
		} else {
			j.admit(records)
		}
		j.mu.Unlock()
		if err != nil {
			continue
		}
		for _, fn := range acked {
			fn()
		}
		j.poke()
	}
}

// batch takes from the queue what is written at once: about a segment at most.
func (j *journal) batch() []*entry {
	n, bytes := 0, int64(0)
	for n < len(j.queue) && (n == 0 || bytes < j.segmentSize()) {
		bytes += int64(len(j.queue[n].payload))
		n++
	}
	batch := j.queue[:n:n]
	if j.queue = j.queue[n:]; len(j.queue) == 0 {
		j.queue = nil
	}
	return batch
}

// prepare numbers and encodes a batch into the buffer and makes room for it.
func (j *journal) prepare(batch []*entry) (records []*record, acked []func(), err error) {
	now := j.clock()
	j.buffer = j.buffer[:0]
	seq := j.head
	full := j.disk()
	for _, e := range batch {
		r := &record{seq: seq, clock: now, topic: e.topic, payload: e.payload, qos: e.qos, retain: e.retain}
		if e.clock != 0 {
			r.clock = e.clock
		}
		if e.envelope {
			r.payload = j.origin.wrap(j.name, seq, e.payload)
		}
		switch {
		case len(r.payload) > maxPayload: // no retry would ever help
			j.stats.TooLarge++
			acked = append(acked, e.acked)
			continue
		case full != nil:
			j.stats.Refused++
			j.complain("disk", "messages are not taken", "class", j.name, "err", full)
			continue
		case !j.fit(int64(len(j.buffer) + r.size())):
			j.stats.Refused++
			j.complain("full", "journal full: messages are not taken", "class", j.name, "bytes", j.bytes)
			continue
		}
		j.buffer = r.append(j.buffer)
		records, acked = append(records, r), append(acked, e.acked)
		seq++
	}
	if len(records) > 0 && (j.active == nil || j.last().size >= j.segmentSize()) {
		err = j.rotate()
	}
	return records, acked, err
}

func write(f *os.File, data []byte, at int64) error {
	if _, err := f.WriteAt(data, at); err != nil {
		return err
	}
	return f.Sync()
}

// failed is a batch that could not be written: nobody is told that it is kept.
func (j *journal) failed(err error, n int64) {
	j.stats.Failed += n
	j.complain("write", "journal can't be written; messages are not acknowledged", "class", j.name, "err", err)
	if j.active == nil {
		return
	}
	// After a failed fsync nothing is known of the file: go on in another.
	_ = j.active.Truncate(j.last().size)
	_ = j.active.Close()
	j.active = nil
}

// admit takes a batch in that is on disk.
func (j *journal) admit(records []*record) {
	for _, r := range records {
		j.last().note(r)
		j.bytes += int64(r.size())
		j.head = r.seq + 1
		j.stats.Taken++
		j.newest(r)
		j.outlet.add(r, &j.progress)
	}
}

// newest notes the last message of a topic, where that is what counts.
func (j *journal) newest(r *record) {
	if j.class.Full != Latest {
		return
	}
	if _, ok := j.latest[r.topic]; ok || len(j.latest) < maxTopics {
		j.latest[r.topic] = r.seq
	}
}

// superseded tells whether a newer message of the topic makes r worthless.
func (j *journal) superseded(r *record) bool {
	newest, ok := j.latest[r.topic]
	return ok && j.class.Full == Latest && newest > r.seq
}

func (j *journal) last() *segment { return j.segments[len(j.segments)-1] }

func (j *journal) segmentSize() int64 {
	return min(max(int64(j.class.Size)/segmentsOf, minSegment), maxSegment)
}

func (j *journal) poke() {
	select {
	case j.nudge <- struct{}{}:
	default:
	}
}

// complain warns of something that lasts: at once, and then now and then.
func (j *journal) complain(kind, text string, args ...any) {
	const every = 30 * time.Minute
	if last, ok := j.told[kind]; ok && time.Since(last) < every {
		return
	}
	j.told[kind] = time.Now()
	j.log.Warn(text, args...)
}

// save writes down what was sent, when that changed.
func (j *journal) save(sync bool) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if !j.dirty && !sync {
		return nil
	}
	j.dirty = false
	return saveState(j.dir, j.progress, j.clock(), sync)
}

// Close waits for what is being written and notes what was sent.
func (j *journal) Close() error {
	j.mu.Lock()
	if j.closed {
		j.mu.Unlock()
		return nil
	}
	j.closed = true
	j.mu.Unlock()
	j.wg.Wait()
	err := j.save(true)
	j.mu.Lock()
	defer j.mu.Unlock()
	j.outlet.close()
	if j.active != nil {
		err = errors.Join(err, j.active.Close())
	}
	return err
}
