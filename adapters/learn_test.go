package adapters_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"edgeshadow/adapters"
	"edgeshadow/test/fieldtest"
)

func TestSupervisor_LearnsPoints(t *testing.T) {
	things := adapters.Things{"fridge": {
		Via: "line", Learns: true, Deadband: deadband(t, "0.5"), Heartbeat: 10 * time.Minute, OfflineAfter: time.Hour,
	}}
	run(t, things, func(_ *adapters.Supervisor, f *field, s *fieldtest.Shadows) {
		f.read("fridge", "temperature", num("4.5"))
		f.read("fridge", "probe.humidity", num("40"))
		synctest.Wait()
		want := map[string]any{"temperature": num("4.5"), "probe": map[string]any{"humidity": num("40")}}
		got := s.Get("fridge", "")
		if d := cmp.Diff(want, got); d != "" {
			t.Fatal("reported (-want +got)", d)
		}

		// The thing's deadband and heartbeat are the learned point's.
		before := s.Reports("fridge", "")
		f.read("fridge", "temperature", num("4.9"))
		synctest.Wait()
		if after := s.Reports("fridge", ""); after != before {
			t.Error("a change within the deadband was reported")
		}
		time.Sleep(10 * time.Minute)
		f.read("fridge", "temperature", num("4.9"))
		synctest.Wait()
		if got := s.Get("fridge", ""); got["temperature"] != num("4.9") {
			t.Errorf("temperature after the heartbeat = %v, want 4.9", got["temperature"])
		}
	})
}

func TestSupervisor_LearnsWithinBounds(t *testing.T) {
	things := adapters.Things{
		"wild": {Via: "line", Learns: true, OfflineAfter: time.Hour},
		"tame": {Via: "line", OfflineAfter: time.Hour, Points: map[string]adapters.Point{"a": {}}},
	}
	run(t, things, func(_ *adapters.Supervisor, f *field, s *fieldtest.Shadows) {
		f.read("wild", "a.b", true)
		for _, path := range []string{"a", "a.b.c", "", "x..y", "1.2.3.4.5.6.7", strings.Repeat("n", 200), "bell\a", "\xff"} {
			f.read("wild", path, true)
		}
		f.read("tame", "b", true)
		synctest.Wait()
		if got := s.Get("wild", ""); !cmp.Equal(got, map[string]any{"a": map[string]any{"b": true}}) {
			t.Errorf("wild = %v, want only a.b", got)
		}
		if got := s.Get("tame", ""); len(got) != 0 {
			t.Errorf("tame = %v; it does not learn", got)
		}
		for i := range 1000 {
			f.read("wild", fmt.Sprint("n", i), num("1"))
		}
		synctest.Wait()
		if got := s.Get("wild", ""); len(got) != 64 {
			t.Errorf("%d keys learned, want the bound, 64", len(got))
		}
	})
}

func TestSupervisor_BoundsValues(t *testing.T) {
	things := adapters.Things{"d": {Via: "line", OfflineAfter: time.Hour, Points: map[string]adapters.Point{"a": {}}}}
	for _, value := range []any{
		strings.Repeat("x", 1025), "\xff\xfe", num("NaN"), num("1e999"), num(strings.Repeat("9", 200)), num("+1"),
		map[string]any{}, []any{}, 1.5, nil,
	} {
		run(t, things, func(v *adapters.Supervisor, f *field, s *fieldtest.Shadows) {
			f.read("d", "a", num("7"))
			f.read("d", "a", value)
			synctest.Wait()
			if got := s.Get("d", ""); got["a"] != num("7") {
				t.Errorf("after %.40v: a = %v, want the last good value", value, got["a"])
			}
			if q := v.Things()[0].Quality["a"]; q != adapters.Bad {
				t.Errorf("after %.40v: quality %q, want bad", value, q)
			}
		})
	}
}
