package localshadow_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"edgeshadow/localshadow"
	"edgeshadow/test/shadowtest"
)

// The log that is synced is the one that badger writes to, however often it has
// begun another: nothing of the newest log is left in memory alone.
func TestStore_SyncsTheNewestLog(t *testing.T) {
	for _, durability := range []localshadow.Durability{localshadow.Sync, localshadow.OneSecond} {
		t.Run(string(durability), func(t *testing.T) {
			dir := t.TempDir()
			s, err := localshadow.OpenStore(localshadow.Config{Path: dir, Durability: durability}, shadowtest.Log(t))
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			value := make([]byte, 30<<10)
			logs := map[string]bool{}
			for i := range 600 { // 18 MB, of logs of 4
				if err := s.Update(context.Background(), func(tx *localshadow.Tx) error {
					return tx.Set(fmt.Appendf(nil, "m/test/%d", i%10), value)
				}); err != nil {
					t.Fatal(err)
				}
				newest := ""
				found, err := filepath.Glob(filepath.Join(dir, "*", "*.mem"))
				if err != nil || len(found) == 0 {
					t.Fatalf("logs %v, %v", found, err)
				}
				for _, name := range found {
					newest = max(newest, name)
				}
				logs[newest] = true
				if got := localshadow.SyncedLog(s); got != newest {
					t.Fatalf("after commit %d %s is synced, %s is written", i, got, newest)
				}
				if _, err := os.Stat(newest); err != nil {
					t.Fatal(err)
				}
			}
			if len(logs) < 3 {
				t.Errorf("only %d logs were seen", len(logs))
			}
		})
	}
}
