package localshadow_test

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"edgeshadow/localshadow"
	"edgeshadow/localshadow/shadow"
	"edgeshadow/test/shadowtest"
)

// document is an update request of so many bytes, every time another.
func document(size, n int) []byte {
	var b strings.Builder
	b.WriteString(`{"state":{"reported":{`)
	for i := 0; b.Len() < size-70; i++ {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `"point_%02d":"%048d"`, i, n)
	}
	b.WriteString(`}}}`)
	return []byte(b.String())
}

// BenchmarkService_Update merges an update of 1 KB into a document of 1 KB, of
// a shadow per writer.
func BenchmarkService_Update(b *testing.B) {
	for _, durability := range []localshadow.Durability{localshadow.Sync, localshadow.OneSecond} {
		for _, writers := range []int{1, 64} {
			b.Run(fmt.Sprintf("%s/%d", durability, writers), func(b *testing.B) {
				store, err := localshadow.OpenStore(localshadow.Config{Path: b.TempDir(), Durability: durability}, shadowtest.Log(b))
				if err != nil {
					b.Fatal(err)
				}
				defer store.Close()
				service := shadowtest.NewService(b, store, nil)
				written := writtenBytes(b)
				update(b, service, writers, writers)
				b.ReportMetric(float64(writtenBytes(b)-written)/float64(b.N), "disk-B/update")
				b.ReportMetric(float64(b.N)/float64(store.Stats().Commits), "updates/commit")
			})
		}
	}
}

// BenchmarkService_UpdateMany spreads the updates over more shadows than are
// kept decoded.
func BenchmarkService_UpdateMany(b *testing.B) {
	store := shadowtest.MustOpenStore(b)
	service := shadowtest.NewService(b, store, nil)
	written := writtenBytes(b)
	update(b, service, 64, 4096)
	b.ReportMetric(float64(writtenBytes(b)-written)/float64(b.N), "disk-B/update")
}

func update(b *testing.B, service *localshadow.Service, writers, shadows int) {
	b.Helper()
	payloads := make([][]byte, 8)
	for i := range payloads {
		payloads[i] = document(1024, i)
	}
	var (
		next atomic.Int64
		wg   sync.WaitGroup
	)
	b.ReportAllocs()
	b.ResetTimer()
	for range writers {
		wg.Go(func() {
			for n := next.Add(1); n <= int64(b.N); n = next.Add(1) {
				id := shadow.ID{Thing: fmt.Sprintf("thing-%d", n%int64(shadows))}
				if _, err := service.Update(context.Background(), id, payloads[n%int64(len(payloads))]); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "updates/s")
}

func BenchmarkService_Get(b *testing.B) {
	service := shadowtest.MustOpenService(b, nil)
	id := shadow.ID{Thing: "thing"}
	if _, err := service.Update(b.Context(), id, document(1024, 1)); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := service.Get(b.Context(), id, nil); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkOpen opens a store of 10,000 shadows of 2 KB, and says what memory
// it holds afterwards beyond an empty one.
func BenchmarkOpen(b *testing.B) {
	dir := b.TempDir()
	store := shadowtest.MustOpenStoreAt(b, dir)
	empty := heap()
	service := shadowtest.NewService(b, store, nil)
	payload := document(2048, 1)
	var wg sync.WaitGroup
	for i := range 10_000 {
		wg.Add(1)
		service.Handle(b.Context(), shadow.ID{Thing: fmt.Sprintf("thing-%d", i)}, "update", payload, false, wg.Done)
	}
	wg.Wait()
	full := heap()
	if err := store.Close(); err != nil {
		b.Fatal(err)
	}
	var reopened uint64
	for b.Loop() {
		s, err := localshadow.OpenStore(localshadow.Config{Path: dir}, shadowtest.Log(b))
		if err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		reopened = heap()
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
	b.ReportMetric((float64(full)-float64(empty))/(1<<20), "MiB-after-fill")
	b.ReportMetric((float64(reopened)-float64(empty))/(1<<20), "MiB-after-open")
	runtime.KeepAlive(service)
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// writtenBytes is what this process caused to be written to disks.
func writtenBytes(b *testing.B) int64 {
	b.Helper()
	text, err := os.ReadFile("/proc/self/io")
	if err != nil {
		b.Skipf("reads /proc/self/io, of Linux: %v", err)
	}
	for line := range strings.Lines(string(text)) {
		var n int64
		if _, err := fmt.Sscanf(line, "write_bytes: %d", &n); err == nil {
			return n
		}
	}
	b.Skip("reads write_bytes in /proc/self/io, which this kernel does not count")
	return 0
}
