package relay

import "time"

// Matches tells what a filter captures of a topic; nil when it does not match.
func Matches(from, topic string) ([]string, error) {
	f, err := parseFilter(from)
	if err != nil {
		return nil, err
	}
	return f.match(topic), nil
}

// Overlap tells whether two filters have a topic in common.
func Overlap(a, b string) bool {
	f, err := parseFilter(a)
	g, gerr := parseFilter(b)
	return err == nil && gerr == nil && f.overlap(g)
}

// Progress is a set of numbers as a journal keeps it.
type Progress struct{ p progress }

func (p *Progress) Done(seq uint64)            { p.p.done(seq) }
func (p *Progress) Has(seq uint64) bool        { return p.p.has(seq) }
func (p *Progress) Low() uint64                { return p.p.low }
func (p *Progress) Spans() int                 { return len(p.p.spans) }
func (p *Progress) Pending(head uint64) int64  { return p.p.pending(head) }
func (p *Progress) Save(dir string) error      { return saveState(dir, p.p, time.Hour, false) }
func LoadProgress(dir string) *Progress        { p, _ := loadState(dir); return &Progress{p} }
func DecodeProgress(data []byte) (p *Progress) { q, _ := decodeState(data); return &Progress{q} }

// ReadSegment counts the records of a segment's file, and the bytes that they take.
func ReadSegment(path string, first uint64) (records int, bytes int64, err error) {
	s := &segment{path: path, first: first}
	_, err = s.scan(func(*record) { records++ })
	return records, s.size, err
}
