package bench_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// BenchmarkFsync is what the disk alone takes for a record of 1.1 KB.
func BenchmarkFsync(b *testing.B) {
	l := mustLog(b)
	for b.Loop() {
		l.append()
	}
	b.ReportMetric(l.median(), "p50-µs")
}

// recordLog is a file to which records are appended as the store does it: through
// a mapping, and then fdatasync.
type recordLog struct {
	b      *testing.B
	file   *os.File
	mapped []byte

	mu    sync.Mutex
	at    int
	times []time.Duration
}

func mustLog(b *testing.B) *recordLog {
	b.Helper()
	const size = 8 << 20
	f, err := os.Create(filepath.Join(b.TempDir(), "log"))
	if err == nil {
		b.Cleanup(func() { f.Close() })
		err = f.Truncate(size)
	}
	if err != nil {
		b.Fatal(err)
	}
	mapped, err := syscall.Mmap(int(f.Fd()), 0, size, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { syscall.Munmap(mapped) })
	return &recordLog{b: b, file: f, mapped: mapped}
}

func (l *recordLog) append() {
	l.mu.Lock()
	defer l.mu.Unlock()
	record := bytes.Repeat([]byte{byte(len(l.times))}, 1100)
	if l.at+len(record) > len(l.mapped) {
		l.at = 0
	}
	begin := time.Now()
	l.at += copy(l.mapped[l.at:], record)
	if err := unix.Fdatasync(int(l.file.Fd())); err != nil {
		l.b.Error(err)
	}
	l.times = append(l.times, time.Since(begin))
}

// median is in µs.
func (l *recordLog) median() float64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	slices.Sort(l.times)
	return float64(l.times[len(l.times)/2].Microseconds())
}
