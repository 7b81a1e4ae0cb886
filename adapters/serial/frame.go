package serial

import (
	"bytes"
	"time"

	"edgeshadow/adapters/binary"
)

const (
	// settle is the silence after which what comes next is the beginning of a
	// frame.
	settle = 100 * time.Millisecond
	// countedGap and markedGap are how long a frame may pause in its middle:
	// one that counts its bytes comes in one piece, a line may be typed.
	countedGap = 200 * time.Millisecond
	markedGap  = 5 * time.Second
)

// framer cuts what comes over a line into frames. Garbage is dropped, and what
// follows it is found again. It holds at most twice the longest frame.
type framer struct {
	start, end []byte
	length     *binary.Codec // nil: the frame does not say its length
	add        int
	fixed      int
	idle       bool
	lines      bool // no frame section: drop a carriage return
	max        int
	gap        time.Duration // the silence that ends a frame, or breaks it off
	check      Check

	buf     []byte
	partial bool // the beginning of the frame was not heard
	stats   frameStats
}

// frameStats count what became of what was heard.
type frameStats struct {
	Frames  uint64 // that were whole
	Broken  uint64 // that failed their check, or were too long
	Skipped uint64 // bytes that belonged to no frame
}

// newFramer is the framer of a valid configuration.
func newFramer(f Frame, c Check) *framer {
	r := &framer{fixed: f.Fixed, idle: f.Idle > 0, max: f.max(), check: c, gap: markedGap}
	r.start, _ = unescape(f.Start) // Validate did it
	r.end, _ = unescape(f.End)
	if f.Length != nil {
		codec := binary.Place{At: f.Length.At, Type: f.Length.Type, Order: f.Length.Order}.Codec("ABCD")
		r.length, r.add = &codec, f.Length.Add
	}
	switch {
	case r.idle:
		r.gap = f.Idle
	case r.counted():
		r.gap = countedGap
	}
	if r.fixed == 0 && r.length == nil && !r.idle && len(r.end) == 0 {
		r.end, r.lines = []byte("\n"), true
	}
	return r
}

// restart drops what was heard: the port is another one. What comes next may be
// the middle of a frame.
func (r *framer) restart() { r.buf, r.partial = r.buf[:0], true }

// feed takes what was heard and calls frame with the content of each frame that
// is whole. The content is good until frame returns.
func (r *framer) feed(data []byte, frame func(content []byte)) {
	if r.partial && r.counted() && len(r.start) == 0 && r.check.size() == 0 {
		r.skip(len(data)) // only silence tells where a frame begins
		return
	}
	for len(data) > 0 {
		n := min(len(data), r.max)
		r.buf = append(r.buf, data[:n]...)
		data = data[n:]
		for {
			content, used, ok := r.next()
			if ok {
				r.stats.Frames++
				frame(content)
			}
			if used == 0 {
				break
			}
			r.buf = r.buf[:copy(r.buf, r.buf[used:])]
		}
	}
}

// silence takes that nothing was heard for so long. It ends a frame that ends
// by silence, and a frame that stopped in its middle is none.
func (r *framer) silence(long time.Duration, frame func(content []byte)) {
	switch {
	case len(r.buf) == 0:
		r.partial = r.partial && long < settle
		return
	case long < r.gap:
		return
	}
	content, ok := r.buf, r.idle && !r.partial
	if ok {
		content, ok = r.whole(r.buf)
	} else {
		r.skip(len(r.buf))
	}
	if ok {
		r.stats.Frames++
		frame(content)
	}
	r.buf, r.partial = r.buf[:0], false
}

func (r *framer) counted() bool { return r.fixed > 0 || r.length != nil }

// next looks at the beginning of buf: the frame there, if there is one, and how
// much of buf is done with; 0 wants more.
func (r *framer) next() (content []byte, used int, ok bool) {
	if len(r.buf) == 0 {
		return nil, 0, false
	}
	if len(r.start) > 0 {
		at := bytes.Index(r.buf, r.start)
		if at < 0 {
			at = len(r.buf) - (len(r.start) - 1) // its beginning may be there
		}
		if at > 0 {
			return nil, r.skip(at), false
		}
		if len(r.buf) < len(r.start) {
			return nil, 0, false
		}
	}
	switch {
	case r.counted():
		return r.nextCounted()
	case r.idle:
		if len(r.buf) > r.max {
			r.stats.Broken++
			return nil, len(r.buf), false
		}
		return nil, 0, false
	}
	return r.nextMarked()
}

func (r *framer) skip(n int) int {
	r.stats.Skipped += uint64(n)
	return n
}

// nextCounted finds a frame of a length that is known. One that is not whole
// costs one byte: the next frame may begin inside of it.
func (r *framer) nextCounted() (content []byte, used int, ok bool) {
	size := r.fixed
	if r.length != nil {
		if len(r.buf) < r.length.End() {
			return nil, 0, false
		}
		n, _ := r.length.Uint(r.buf)
		size = int(min(n, maxMax)) + r.add
		if size < r.length.End() || size < len(r.start)+len(r.end) || size > r.max {
			return nil, r.skip(1), false
		}
	}
	if len(r.buf) < size {
		return nil, 0, false
	}
	if content, ok = r.whole(r.buf[:size]); !ok {
		r.skip(1)
		return nil, 1, false
	}
	return content, size, true
}

// whole checks a frame of which all bytes are there.
func (r *framer) whole(frame []byte) (content []byte, ok bool) {
	body, ok := bytes.CutSuffix(frame, r.end)
	if ok {
		body, ok = r.check.holds(body, r.end)
	}
	if !ok {
		r.stats.Broken++
	}
	return body, ok
}

// nextMarked finds a frame that ends with a marker.
func (r *framer) nextMarked() (content []byte, used int, ok bool) {
	behind := 0
	if r.check.Behind {
		behind = r.check.size()
	}
	from := len(r.start)
	at := bytes.Index(r.buf[from:], r.end)
	if at < 0 {
		if len(r.buf) <= r.max+from {
			return nil, 0, false
		}
		return nil, r.overlong(), false
	}
	at += from
	used = at + len(r.end) + behind
	if len(r.buf) < used {
		return nil, 0, false
	}
	if from > 0 {
		// A start marker inside says that the frame before lost its end.
		if again := bytes.LastIndex(r.buf[from:at], r.start); again >= 0 {
			r.stats.Broken++
			return nil, r.skip(from + again), false
		}
	}
	body := r.buf[from:at]
	if r.lines {
		body = bytes.TrimSuffix(body, []byte("\r"))
	}
	if r.partial && from == 0 {
		r.partial = false
		return nil, r.skip(used), false
	}
	if len(body) > r.max {
		r.stats.Broken++
		return nil, r.skip(used), false
	}
	if len(body) == 0 && behind == 0 {
		return nil, used, false // an empty line
	}
	if behind > 0 {
		body = bytes.Join([][]byte{body, r.buf[at+len(r.end) : used]}, nil)
	}
	if content, ok = r.check.holds(body, r.end); !ok {
		r.stats.Broken++
	}
	return content, used, ok
}

// overlong drops a frame that never ends: with a start marker up to the next
// one, else up to its end, whenever it comes.
func (r *framer) overlong() int {
	r.stats.Broken++
	if len(r.start) > 0 {
		return r.skip(1)
	}
	r.partial = true
	return r.skip(len(r.buf) - (len(r.end) - 1))
}
