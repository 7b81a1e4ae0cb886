package relay

import (
	"encoding/binary"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// maxSpans bounds the islands of what was sent ahead of older messages.
const maxSpans = 1024

// span is the records [from, to).
type span struct{ from, to uint64 }

// progress is what needs no sending any more: everything below low, and the
// spans, which are in order, apart from each other and above low.
type progress struct {
	low   uint64
	spans []span
}

func (p *progress) has(seq uint64) bool {
	if seq < p.low {
		return true
	}
	i := p.find(seq)
	return i < len(p.spans) && p.spans[i].from <= seq
}

// find is the first span that ends above seq.
func (p *progress) find(seq uint64) int {
	i, _ := slices.BinarySearchFunc(p.spans, seq, func(s span, seq uint64) int {
		if s.to <= seq {
			return -1
		}
		return 1
	})
	return i
}

// done adds one record.
func (p *progress) done(seq uint64) {
	if p.has(seq) {
		return
	}
	if seq == p.low {
		p.below(seq + 1)
		return
	}
	i := p.find(seq)
	left := i > 0 && p.spans[i-1].to == seq
	right := i < len(p.spans) && p.spans[i].from == seq+1
	switch {
	case left && right:
		p.spans[i-1].to = p.spans[i].to
		p.spans = slices.Delete(p.spans, i, i+1)
	case left:
		p.spans[i-1].to++
	case right:
		p.spans[i].from--
	default:
		p.spans = slices.Insert(p.spans, i, span{seq, seq + 1})
	}
}

// below adds everything below seq.
func (p *progress) below(seq uint64) {
	p.low = max(p.low, seq)
	for len(p.spans) > 0 && p.spans[0].from <= p.low {
		p.low = max(p.low, p.spans[0].to)
		p.spans = slices.Delete(p.spans, 0, 1)
	}
}

// pending counts the records below head that are left.
func (p *progress) pending(head uint64) int64 {
	n := int64(head - min(head, p.low))
	for _, s := range p.spans {
		n -= int64(s.to - s.from)
	}
	return n
}

// The file of a journal's progress and clock: version, clock, low, spans, each
// a little-endian 64 bit number, and the CRC32C of all before it. It is
// replaced as a whole, without an fsync: when it is lost, messages come twice.
const stateVersion = 1

// StateName is the file's, in the folder of the journal.
const StateName = "state"

func saveState(dir string, p progress, clock time.Duration, sync bool) error {
	data := binary.LittleEndian.AppendUint64(nil, stateVersion)
	data = binary.LittleEndian.AppendUint64(data, uint64(clock))
	data = binary.LittleEndian.AppendUint64(data, p.low)
	for _, s := range p.spans[:min(len(p.spans), maxSpans)] {
		data = binary.LittleEndian.AppendUint64(data, s.from)
		data = binary.LittleEndian.AppendUint64(data, s.to)
	}
	data = binary.LittleEndian.AppendUint32(data, crc32.Checksum(data, castagnoli))
	path := filepath.Join(dir, StateName)
	f, err := os.OpenFile(path+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil && sync {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(path+".new", path)
	}
	return err
}

// loadState reads what was saved; nothing when there is none or it is damaged.
func loadState(dir string) (p progress, clock time.Duration) {
	data, err := os.ReadFile(filepath.Join(dir, StateName))
	if err != nil {
		return progress{}, 0
	}
	return decodeState(data)
}

func decodeState(data []byte) (p progress, clock time.Duration) {
	n := len(data) - 4
	if n < 24 || (n-24)%16 != 0 || crc32.Checksum(data[:n], castagnoli) != binary.LittleEndian.Uint32(data[n:]) {
		return progress{}, 0
	}
	word := func(i int) uint64 { return binary.LittleEndian.Uint64(data[8*i:]) }
	if word(0) != stateVersion || int64(word(1)) < 0 {
		return progress{}, 0
	}
	p.low = word(2)
	last := p.low
	for i := 3; i < n/8; i += 2 {
		s := span{word(i), word(i + 1)}
		if s.from <= last || s.to <= s.from {
			return progress{}, 0
		}
		p.spans = append(p.spans, s)
		last = s.to
	}
	return p, time.Duration(word(1))
}
