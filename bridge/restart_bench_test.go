package bridge_test

import (
	"context"
	"fmt"
	"testing"

	"edgeshadow/bridge"
	"edgeshadow/localshadow"
	"edgeshadow/localshadow/shadow"
	"edgeshadow/test/shadowtest"
)

// BenchmarkOpen is what the start costs with so many shadows, each with a
// document and a record of 200 bytes or so.
func BenchmarkOpen(b *testing.B) {
	for _, n := range []int{10_000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			path := b.TempDir()
			store := shadowtest.MustOpenStoreWith(b, localshadow.Config{Path: path, Durability: localshadow.OneSecond})
			service := shadowtest.NewService(b, store, nil)
			ctx := context.Background()
			for i := range n {
				id := shadow.ID{Thing: fmt.Sprintf("thing-%06d", i)}
				service.SubmitSync(ctx, id, func(tx *localshadow.SyncTx) error {
					state := shadow.State{Reported: shadow.NewObject(shadow.Member{Key: "n", Value: "0"})}
					if err := tx.SetLocal(state); err != nil {
						return err
					}
					return tx.SetRecord(bridge.SettledRecord(state))
				}, func(err error) {
					if err != nil {
						b.Error(err)
					}
				})
			}
			if err := store.Update(ctx, func(*localshadow.Tx) error { return nil }); err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				r, err := bridge.Open(bridge.Default(), store, service, nil)
				if err != nil {
					b.Fatal(err)
				}
				if s := r.Stats(); s.Shadows != n || s.Dirty != 0 {
					b.Fatalf("%+v", s)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/shadow")
		})
	}
}
