package relay

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// segment is one file of a journal, which holds the records [first, next).
type segment struct {
	path        string
	first, next uint64
	size        int64
	newest      time.Duration // of the clocks of its records
}

const suffix = ".log"

func segmentPath(dir string, first uint64) string {
	return filepath.Join(dir, fmt.Sprintf("%016x%s", first, suffix))
}

// parseSegment reads the number of the first record from a file name.
func parseSegment(name string) (first uint64, ok bool) {
	digits, ok := strings.CutSuffix(name, suffix)
	if !ok || len(digits) != 16 {
		return 0, false
	}
	first, err := strconv.ParseUint(digits, 16, 64)
	return first, err == nil
}

// Segments are the files of the journal in a folder, oldest first.
func Segments(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir) // sorted, and so are the segments
	if err != nil {
		return nil, err
	}
	var paths []string
	for _, e := range entries {
		if _, ok := parseSegment(e.Name()); ok {
			paths = append(paths, filepath.Join(dir, e.Name()))
		}
	}
	return paths, nil
}

// note counts a record that is in the file now.
func (s *segment) note(r *record) {
	s.next, s.newest = r.seq+1, max(s.newest, r.clock)
	s.size += int64(r.size())
}

// reader reads the records of a segment in order.
type reader struct {
	file *os.File
	in   *bufio.Reader
	next uint64
	at   int64
}

func openReader(s *segment) (*reader, error) {
	f, err := os.Open(s.path)
	if err != nil {
		return nil, err
	}
	return &reader{file: f, in: bufio.NewReaderSize(f, 64<<10), next: s.first}, nil
}

func (r *reader) Close() error { return r.file.Close() }

// read returns the next record; io.EOF at the end, errTorn where the file is
// damaged or was cut off.
func (r *reader) read() (*record, error) {
	var header [headerSize]byte
	if n, err := io.ReadFull(r.in, header[:]); err != nil {
		if n == 0 && err == io.EOF {
			return nil, io.EOF
		}
		return nil, torn(err)
	}
	length := binary.LittleEndian.Uint32(header[:])
	if length > maxRecord {
		return nil, errTorn
	}
	body := make([]byte, length)
	if _, err := io.ReadFull(r.in, body); err != nil {
		return nil, torn(err)
	}
	rec, err := decodeRecord(body, binary.LittleEndian.Uint32(header[4:]))
	if err != nil {
		return nil, err
	}
	if rec.seq != r.next {
		return nil, errTorn
	}
	r.next++
	r.at += int64(rec.size())
	return rec, nil
}

func torn(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return errTorn
	}
	return err
}

// scan visits every record of a segment and sets what is known of it. What
// follows a damaged record is lost; whole says that there was none.
func (s *segment) scan(fn func(*record)) (whole bool, err error) {
	r, err := openReader(s)
	if err != nil {
		return false, err
	}
	defer r.Close()
	s.next, s.size = s.first, 0
	for {
		rec, err := r.read()
		switch {
		case err == io.EOF:
			return true, nil
		case err == errTorn:
			return false, nil
		case err != nil:
			return false, err
		}
		s.note(rec)
		fn(rec)
	}
}
