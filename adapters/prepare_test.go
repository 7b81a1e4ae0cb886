package adapters_test

import (
	"context"
	"maps"
	"testing"
	"testing/synctest"
	"time"

	"edgeshadow/adapters"
	"edgeshadow/test/fieldtest"
)

// TestSupervisor_Prepare: what did not change is not touched, what did change
// keeps what is known and desired of it.
func TestSupervisor_Prepare(t *testing.T) {
	things := boiler(t)
	things["other"] = adapters.Thing{Bus: "line", OfflineAfter: time.Hour, Points: map[string]adapters.Point{"a": {}}}
	run(t, things, func(v *adapters.Supervisor, f *field, s *fieldtest.Shadows) {
		f.read("boiler", "setpoint", num("40"))
		f.read("other", "a", num("1"))
		v.Actuate("boiler", "", map[string]any{"setpoint": num("50")})
		synctest.Wait()
		since := v.Things()[1].Since

		next := maps.Clone(things)
		changed := things["boiler"]
		changed.Points = maps.Clone(changed.Points)
		changed.Points["pressure"] = adapters.Point{}
		next["boiler"] = changed
		next["third"] = adapters.Thing{Via: "second", OfflineAfter: time.Hour, Learns: true}
		second := &field{}
		commit, _, err := v.Prepare(next, map[string]adapters.Driver{"line": f, "second": second})
		if err != nil {
			t.Fatal(err)
		}
		if len(v.Things()) != 2 {
			t.Error("Prepare changed what runs")
		}
		time.Sleep(time.Second)
		commit()
		synctest.Wait()
		if f.starts != 1 || second.starts != 1 {
			t.Errorf("drivers started %d and %d times, want 1 each", f.starts, second.starts)
		}
		st := v.Things()
		if len(st) != 3 || !st[0].Online || !st[1].Online || !st[1].Since.Equal(since) {
			t.Errorf("things after the change = %+v", st)
		}
		f.read("boiler", "pressure", num("2"))
		second.read("third", "b", true)
		synctest.Wait()
		if got := s.Get("boiler", ""); got["pressure"] != num("2") || got["setpoint"] != num("50") {
			t.Errorf("boiler = %v", got)
		}
		if got := s.Get("third", ""); got["b"] != true {
			t.Errorf("third = %v", got)
		}
		if n := len(f.written()); n != 1 {
			t.Errorf("%d writes, want the one from before the change", n)
		}

		// A driver that is gone ends, and its things with it.
		commit, _, err = v.Prepare(things, map[string]adapters.Driver{"line": f})
		if err != nil {
			t.Fatal(err)
		}
		commit()
		synctest.Wait()
		second.read("third", "b", false)
		synctest.Wait()
		if got := s.Get("third", ""); got["b"] != true {
			t.Errorf("third = %v after it was taken out", got)
		}
		if _, _, err := v.Prepare(next, map[string]adapters.Driver{"line": f}); err == nil {
			t.Error("a thing without its driver was prepared")
		}
	})
}

func TestSupervisor_RestartsFailedDriver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, s := &field{fails: 5}, &fieldtest.Shadows{}
		v, err := adapters.New(boiler(t), map[string]adapters.Driver{"line": f}, s, nil)
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan error)
		ctx, cancel := context.WithCancel(t.Context())
		go func() { done <- v.Run(ctx) }()
		time.Sleep(time.Minute)
		synctest.Wait()
		if f.starts != 6 {
			t.Errorf("%d starts in a minute, want the sixth to last", f.starts)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
