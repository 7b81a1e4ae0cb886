package localshadow

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/dgraph-io/badger/v4"
)

// dumpMagic begins a dump. After it come the entries, each a key and a value
// with its length in front, an empty key, the number of entries and a CRC-32C of
// all before it. Badger's own backup is not used: its allocator is wrong on
// 32-bit machines.
const dumpMagic = "edgeshadow store 1\n"

// What an entry may measure: the store itself writes less.
const (
	maxDumpKey   = 64 << 10
	maxDumpValue = 1 << 20
)

// Dump writes what is committed now, as of one moment, while the store goes on.
// It waits for w: Close waits for it.
func (s *Store) Dump(w io.Writer) error {
	out := &dumper{out: bufio.NewWriter(w), sum: crc32.New(crc32.MakeTable(crc32.Castagnoli))}
	out.write([]byte(dumpMagic))
	var entries uint64
	err := s.view(func(r snapshot) error {
		it := r.txn.NewIterator(badger.IteratorOptions{})
		defer it.Close()
		for it.Rewind(); it.Valid(); it.Next() {
			item := it.Item()
			if string(item.Key()) == cleanKey { // it is not closed
				continue
			}
			if err := item.Value(func(value []byte) error {
				out.bytes(item.Key())
				out.bytes(value)
				return out.err
			}); err != nil {
				return fmt.Errorf("dump %q: %w", item.Key(), err)
			}
			entries++
		}
		return nil
	})
	if err != nil {
		return err
	}
	out.bytes(nil)
	out.write(binary.BigEndian.AppendUint64(nil, entries))
	out.write(binary.BigEndian.AppendUint32(nil, out.sum.Sum32()))
	return errors.Join(out.err, out.out.Flush())
}

// dumper writes and sums up until the first error.
type dumper struct {
	out *bufio.Writer
	sum hash.Hash32
	err error
}

func (d *dumper) write(p []byte) {
	if d.err == nil {
		d.sum.Write(p)
		_, d.err = d.out.Write(p)
	}
}

func (d *dumper) bytes(p []byte) {
	d.write(binary.AppendUvarint(nil, uint64(len(p))))
	d.write(p)
}

// LoadDump makes the store of cfg from a dump. There must be none yet. On an
// error what it made is no use and may be removed. A nil log discards.
func LoadDump(cfg Config, r io.Reader, log *slog.Logger) error {
	dir := filepath.Join(cfg.withDefaults().Path, "store")
	if _, err := os.Lstat(dir); err == nil {
		return fmt.Errorf("load a dump: %s is there already", dir)
	}
	s, err := OpenStore(cfg, log)
	if err != nil {
		return err
	}
	err = s.load(r)
	return errors.Join(err, s.Close())
}

func (s *Store) load(r io.Reader) error {
	in := &undumper{in: bufio.NewReader(r), sum: crc32.New(crc32.MakeTable(crc32.Castagnoli))}
	if string(in.read(len(dumpMagic))) != dumpMagic {
		return errors.New("load a dump: it is none, or one of another version")
	}
	var entries uint64
	for done := false; !done && in.err == nil; {
		size := 0
		err := s.db.Update(func(txn *badger.Txn) error {
			for size < maxGroupBytes/2 {
				key := in.bytes(maxDumpKey)
				if len(key) == 0 {
					done = true
					return in.err
				}
				value := in.bytes(maxDumpValue)
				if in.err != nil {
					return in.err
				}
				if err := txn.Set(key, value); err != nil {
					return err
				}
				entries++
				size += len(key) + len(value) + 1<<10 // entries are bounded too
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("load a dump: %w", err)
		}
	}
	count := in.read(8)
	want := in.sum.Sum32()
	sum := in.read(4)
	switch {
	case in.err != nil:
		return fmt.Errorf("load a dump: %w", in.err)
	case binary.BigEndian.Uint64(count) != entries, binary.BigEndian.Uint32(sum) != want:
		return errors.New("load a dump: its checksum is wrong")
	}
	return nil
}

// undumper reads until the first error.
type undumper struct {
	in  *bufio.Reader
	sum hash.Hash32
	err error
}

func (u *undumper) read(n int) []byte {
	p := make([]byte, n)
	if u.err != nil {
		return p
	}
	if _, err := io.ReadFull(u.in, p); err != nil {
		if u.err = err; errors.Is(err, io.EOF) {
			u.err = io.ErrUnexpectedEOF
		}
		return p
	}
	u.sum.Write(p)
	return p
}

func (u *undumper) bytes(most uint64) []byte {
	if u.err != nil {
		return nil
	}
	n, err := binary.ReadUvarint(u.in)
	switch {
	case errors.Is(err, io.EOF):
		u.err = io.ErrUnexpectedEOF
	case err != nil:
		u.err = err
	case n > most:
		u.err = fmt.Errorf("an entry of %d bytes", n)
	}
	if u.err != nil {
		return nil
	}
	u.sum.Write(binary.AppendUvarint(nil, n))
	return u.read(int(n))
}
