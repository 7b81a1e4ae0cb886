package localshadow_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"edgeshadow/localshadow"
	"edgeshadow/test/shadowtest"
)

// BenchmarkStore_Update is the committer alone: 1 KB under a key per writer.
func BenchmarkStore_Update(b *testing.B) {
	for _, writers := range []int{1, 16, 64} {
		b.Run(fmt.Sprint(writers), func(b *testing.B) {
			s := shadowtest.MustOpenStore(b)
			value := make([]byte, 1024)
			var (
				left atomic.Int64
				wg   sync.WaitGroup
			)
			left.Store(int64(b.N))
			written := writtenBytes(b)
			b.ResetTimer()
			for w := range writers {
				wg.Go(func() {
					key := fmt.Appendf(nil, "s/thing-%d//l", w)
					for left.Add(-1) >= 0 {
						err := s.Update(context.Background(), func(tx *localshadow.Tx) error { return tx.Set(key, value) })
						if err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
			b.StopTimer()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "updates/s")
			b.ReportMetric(float64(writtenBytes(b)-written)/float64(b.N), "disk-B/update")
			b.ReportMetric(float64(b.N)/float64(s.Stats().Commits), "updates/commit")
		})
	}
}
