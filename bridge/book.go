package bridge

import (
	"time"

	"edgeshadow/localshadow/shadow"
)

// rest is what is kept of a shadow while there is nothing to do for it: some
// bytes, for there may be ten thousand. Times are seconds since the start, from
// 1 on; 0 is never.
type rest struct {
	class class // the queue that it stands in
	flags flag
	raced uint8  // pushes in a row that met a 409 first
	ok    uint32 // last success
	since uint32 // dirty since
}

type flag uint8

const (
	dirty    flag = 1 << iota // as far as is known: it is looked at before those that are not
	unknown                   // the cloud was never asked
	doubt                     // the session was lost, or the comparison is due: compare, unless a push proves that the base holds
	absent                    // in this session the cloud said that there is no such shadow
	verified                  // in this session the document was got, so that a delete may go
	first                     // it differed when the session began: before it no comparisons
)

// book is every synced shadow. Awake are those that something is done for.
type book struct {
	cfg   Config
	began time.Time
	least time.Duration // between two pushes of a shadow, whatever its rule says
	all   map[shadow.ID]rest
	awake map[shadow.ID]*work
	order []*work     // awake, in the order of waking; some may sleep again
	ring  []shadow.ID // all, in the order of the comparisons that are due
	known map[string]bool

	touched []*work   // that something was done for in this turn
	wake    time.Time // when the first of those awake is due; zero: none is
}

// maxAsleep are shadows that slept in again before the order of waking forgets them.
const maxAsleep = 256

func newBook(cfg Config, began time.Time) book {
	return book{cfg: cfg, began: began, least: pushInterval, all: map[shadow.ID]rest{}, awake: map[shadow.ID]*work{}, known: map[string]bool{}}
}

// add takes a shadow in; false when it is not synced, or there already.
func (b *book) add(id shadow.ID, flags flag) bool {
	if _, there := b.all[id]; there || !b.known[id.Thing] || !b.cfg.syncs(id) {
		return false
	}
	b.all[id] = rest{flags: flags}
	b.ring = append(b.ring, id)
	return true
}

// rule is what holds for a shadow.
func (b *book) rule(id shadow.ID) rule {
	r := b.cfg.rule(id)
	r.interval = max(r.interval, b.least)
	return r
}

// work wakes a shadow; nil for one that is not synced.
func (b *book) work(id shadow.ID) *work {
	if w := b.awake[id]; w != nil {
		b.touch(w)
		return w
	}
	r, ok := b.all[id]
	if !ok {
		if !b.add(id, unknown) {
			return nil
		}
		r = b.all[id]
	}
	w := &work{id: id, rule: b.rule(id), rest: r}
	b.awake[id] = w
	b.order = append(b.order, w)
	b.touch(w)
	return w
}

// everyone is all that are awake; each of them counts as touched.
func (b *book) everyone() []*work {
	b.wake = time.Time{}
	kept := b.order[:0]
	for _, w := range b.order {
		if b.awake[w.id] == w {
			kept = append(kept, w)
			b.touch(w)
		}
	}
	clear(b.order[len(kept):])
	b.order = kept
	return kept
}

func (b *book) touch(w *work) {
	if !w.touched {
		w.touched = true
		b.touched = append(b.touched, w)
	}
}

// settle looks at those that something was done for: it lets them sleep when
// nothing is left to do, or notes when they are due.
func (b *book) settle(now time.Time) {
	if len(b.order) > 2*len(b.awake)+maxAsleep {
		b.everyone()
	}
	for _, w := range b.touched {
		w.touched = false
		if b.awake[w.id] != w {
			continue
		}
		if w.quiet(now) {
			b.all[w.id] = w.rest
			delete(b.awake, w.id)
			continue
		}
		if due := w.due(now); !due.IsZero() && (b.wake.IsZero() || due.Before(b.wake)) {
			b.wake = due
		}
	}
	clear(b.touched)
	b.touched = b.touched[:0]
}

// peek is what is kept of a shadow, awake or not.
func (b *book) peek(id shadow.ID) rest {
	if w := b.awake[id]; w != nil {
		return w.rest
	}
	return b.all[id]
}

// poke changes what is kept of a shadow, awake or not.
func (b *book) poke(id shadow.ID, fn func(r *rest)) {
	if w := b.awake[id]; w != nil {
		fn(&w.rest)
		return
	}
	r := b.all[id]
	fn(&r)
	b.all[id] = r
}

// seconds is a time as rest keeps it.
func (b *book) seconds(now time.Time) uint32 { return uint32(now.Sub(b.began)/time.Second) + 1 }

// time is the inverse of seconds; zero for never.
func (b *book) time(s uint32) time.Time {
	if s == 0 {
		return time.Time{}
	}
	return b.began.Add(time.Duration(s-1) * time.Second)
}
