package bridge_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"edgeshadow/bridge"
	"edgeshadow/localshadow"
	"edgeshadow/localshadow/shadow"
	"edgeshadow/test/cloudtest"
	"edgeshadow/test/shadowtest"
)

var day = flag.Bool("day", false, "count the idle traffic of a whole day and not of two hours")

func numbered(i int) string { return fmt.Sprintf("thing-%04d", i) }

// inCrowd runs a test with ten thousand shadows that are equal on both sides.
func inCrowd(t *testing.T, fn func(t *testing.T, s *site)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := &site{t: t, path: t.TempDir(), cfg: bridge.Default(), cloud: cloudtest.New()}
		s.start()
		defer func() { s.close() }()
		state := object{"reported": object{"n": 0}}
		names := make([]string, many)
		for i := range many {
			names[i] = numbered(i)
			s.cloud.Update(names[i], "", state)
		}
		s.sync.Know(names...)
		s.sync.Unpaced()
		s.link.Connect(false)
		s.wait(time.Minute)
		if st := s.sync.Stats(); st.Shadows != many+1 || st.Dirty != 0 {
			t.Fatalf("at the start %+v", st)
		}
		s.sync.Paced()
		fn(t, s)
	})
}

// A session that was kept costs nothing: F-7.
func TestTenThousand_SessionKept(t *testing.T) {
	inCrowd(t, func(t *testing.T, s *site) {
		since := s.requests()
		for range 20 { // F-10
			s.link.Cut()
			s.wait(time.Second)
			s.link.Connect(true)
			s.wait(2 * time.Second)
		}
		s.sent(since, map[string]int{})
		if awake := s.sync.Stats().Awake; awake != 0 {
			t.Errorf("%d shadows are awake", awake)
		}
	})
}

// A session that was lost costs a get of each, in the time that the rate takes;
// those that differ come first, and with one message: F-30.
func TestTenThousand_SessionLost(t *testing.T) {
	inCrowd(t, func(t *testing.T, s *site) {
		s.link.Enforce(cloudtest.Quotas{PerSecond: 45, PerThing: 10, InFlight: 10})
		s.link.KillSession()
		began := time.Now()
		since := s.requests()
		s.link.Connect(false)
		if err := s.link.AwaitRequests(context.Background(), "get", s.link.Requests("get")+many+1); err != nil {
			t.Fatal(err)
		}
		took, least := time.Since(began), many/20*time.Second
		if many < 10_000 {
			least += 5 * time.Second // of stability before the first, which is within the twentieth of many
		}
		if took > least*105/100 {
			t.Errorf("%d gets took %v, the rate alone takes %v", many, took, least)
		}
		s.wait(time.Minute)
		s.sent(since, map[string]int{"get": many + 1})

		s.link.KillSession()
		for i := range many / 10 {
			id := shadow.ID{Thing: numbered(i * 10)}
			if _, err := s.service.Update(context.Background(), id, []byte(`{"state":{"reported":{"n":1}}}`)); err != nil {
				t.Fatal(err)
			}
		}
		s.wait(time.Second)
		if st := s.sync.Stats(); st.Dirty != many/10 {
			t.Errorf("%d shadows are dirty", st.Dirty)
		}
		updates, gets := s.link.Requests("update"), s.link.Requests("get")
		s.link.Connect(false)
		if err := s.link.AwaitRequests(context.Background(), "update", updates+many/10); err != nil {
			t.Fatal(err)
		}
		if n := s.link.Requests("get") - gets; n > 0 {
			t.Errorf("%d comparisons came before the last of those that differ", n)
		}
		s.wait(10 * time.Minute)
		if n := s.link.Requests("get") - gets; n != many-many/10+1 {
			t.Errorf("%d comparisons of those that did not differ", n)
		}
		if s.link.Broken() > 0 {
			t.Errorf("%d quotas broken", s.link.Broken())
		}
	})
}

// One hot shadow does not starve the others: F-31.
func TestTenThousand_HotShadow(t *testing.T) {
	inSite(t, bridge.Default(), func(t *testing.T, s *site) {
		s.synced(base)
		for i := range 100 {
			s.sync.Know(numbered(i))
			s.cloud.Update(numbered(i), "", object{"reported": object{"n": 0}})
		}
		s.wait(time.Minute)
		since := s.requests()
		began := time.Now()
		done := make(chan struct{})
		go func() {
			defer close(done)
			for i := range 3000 {
				s.write(object{"reported": object{"n": i}})
				time.Sleep(10 * time.Millisecond)
			}
		}()
		for i := range 100 {
			id := shadow.ID{Thing: numbered(i)}
			if _, err := s.service.Update(context.Background(), id, []byte(`{"state":{"reported":{"n":1}}}`)); err != nil {
				t.Fatal(err)
			}
		}
		for i := range 100 {
			if err := s.cloud.AwaitShadow(context.Background(), numbered(i), "", map[string]any{"reported": map[string]any{"n": 1.0}}); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(began); took > 6*time.Second {
			t.Errorf("the others had to wait %v", took)
		}
		<-done
		s.wait(time.Second)
		if n := since()["update"] - 100; n > 62 {
			t.Errorf("3000 writes of the hot shadow in 30 s made %d updates", n)
		}
	})
}

// What an idle uplink costs: comparisons, each shadow's once in a day and at no
// particular time, and the keep-alive of the connection.
func TestTenThousand_Idle(t *testing.T) {
	inCrowd(t, func(t *testing.T, s *site) {
		hours := 2
		if *day {
			hours = 24
		}
		s.wait(65 * time.Minute) // what was compared just now is not compared again
		since := s.requests()
		var most int
		for range hours {
			before := since()["get"]
			s.wait(time.Hour)
			most = max(most, since()["get"]-before)
		}
		got := since()
		want := many * hours / 24
		if n := got["get"]; n < want*9/10 || n > want*11/10 || got["update"]+got["delete"] > 0 {
			t.Errorf("in %d idle hours %v, want about %d gets", hours, got, want)
		}
		if most > many/24*12/10 {
			t.Errorf("%d comparisons in one hour are not spread", most)
		}
		const keepAlive = 4 // PINGREQ and PINGRESP
		ask := len(`$aws/things/thing-0000/shadow/get`) + 2 + 4 + len(`{"clientToken":"01234567.1.12345"}`) + 4
		answer, _ := json.Marshal(map[string]any{"state": object{"reported": object{"n": 0}}, "metadata": object{"reported": object{"n": object{"timestamp": 1700000000}}},
			"version": 1, "timestamp": 1700000000, "clientToken": "01234567.1.12345"})
		each := ask + len(answer) + len(`$aws/things/thing-0000/shadow/get/accepted`) + 2 + 4 + 4
		t.Logf("an idle day with %d shadows: %d bytes of keep-alive, %d of comparisons", many, 2880*keepAlive, many*each)
	})
}

// What an idle shadow costs in memory, beside the store's.
func BenchmarkMemory(b *testing.B) {
	store := shadowtest.MustOpenStoreWith(b, localshadow.Config{Path: b.TempDir(), Durability: localshadow.OneSecond})
	service := shadowtest.NewService(b, store, nil)
	names := make([]string, many)
	for i := range many {
		names[i] = strings.Clone(numbered(i))
	}
	for b.Loop() {
		before := heap()
		r, err := bridge.Open(bridge.Default(), store, service, nil)
		if err != nil {
			b.Fatal(err)
		}
		r.Know(names...)
		b.ReportMetric(float64(heap()-before)/many, "B/shadow")
		runtime.KeepAlive(r)
	}
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
