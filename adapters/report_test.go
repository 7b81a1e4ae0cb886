package adapters_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"edgeshadow/adapters"
	"edgeshadow/test/fieldtest"
)

func TestSupervisor_Deadband(t *testing.T) {
	for name, c := range map[string]struct {
		deadband string
		read     []string
		want     string // what is reported in the end
	}{
		"Absolute":      {"0.2", []string{"20", "20.1", "20.19", "19.81"}, "20"},
		"AbsoluteAt":    {"0.2", []string{"20", "20.1", "20.2"}, "20.2"},
		"Creeping":      {"0.2", []string{"20", "20.1", "20.2", "20.3"}, "20.2"},
		"Relative":      {"2%", []string{"100", "101.9", "98.1"}, "100"},
		"RelativeAt":    {"2%", []string{"100", "102"}, "102"},
		"RelativeMinus": {"2%", []string{"-100", "-97.5"}, "-97.5"},
		"FromZero":      {"50%", []string{"0", "0.001"}, "0.001"},
		"None":          {"0", []string{"20", "20.001"}, "20.001"},
	} {
		t.Run(name, func(t *testing.T) {
			things := adapters.Things{"d": {Bus: "line", OfflineAfter: time.Hour, Points: map[string]adapters.Point{
				"t": {Deadband: deadband(t, c.deadband)},
			}}}
			run(t, things, func(_ *adapters.Supervisor, f *field, s *fieldtest.Shadows) {
				for _, v := range c.read {
					f.read("d", "t", num(v))
					synctest.Wait()
				}
				if got := s.Get("d", ""); got["t"] != num(c.want) {
					t.Errorf("reported %v, want %s", got["t"], c.want)
				}
			})
		})
	}
	for _, bad := range []string{"", "%", "x", "1 %%", "NaN%"} {
		if err := new(adapters.Deadband).UnmarshalText([]byte(bad)); err == nil {
			t.Errorf("deadband %q was taken", bad)
		}
	}
}

// TestL7_FailedReadIsNoValue: what fails is told as a quality, the last good
// value stays, and after offline_after the thing is offline.
func TestL7_FailedReadIsNoValue(t *testing.T) {
	run(t, boiler(t), func(v *adapters.Supervisor, f *field, s *fieldtest.Shadows) {
		f.read("boiler", "water", num("21.5"))
		f.read("boiler", "setpoint", num("40"))
		synctest.Wait()
		fail := func(q adapters.Quality) {
			f.say(adapters.Reading{Thing: "boiler", Path: "water", Quality: q, Value: num("0"), Time: time.Now()})
			time.Sleep(11 * time.Second) // more than one update of qualities
			synctest.Wait()
		}
		for _, q := range []adapters.Quality{adapters.Exception(6), adapters.Timeout, adapters.Bad} {
			fail(q)
			doc := s.Get("boiler", adapters.ConnectivityShadow)
			quality, _ := doc["quality"].(map[string]any)
			if quality["water"] != string(q) || doc["online"] != true {
				t.Errorf("connectivity after %s = %v", q, doc)
			}
			if got := s.Get("boiler", ""); got["water"] != num("21.5") {
				t.Errorf("water after %s = %v, want the last good value", q, got["water"])
			}
		}
		for range 10 {
			fail(adapters.Timeout)
		}
		doc := s.Get("boiler", adapters.ConnectivityShadow)
		counters, _ := doc["counters"].(map[string]any)
		if doc["online"] != false || doc["last_seen"] == nil || counters["outages"] != num("1") || counters["failed"] == num("0") {
			t.Errorf("connectivity after two silent minutes = %v, want offline", doc)
		}
		f.read("boiler", "water", num("22"))
		time.Sleep(2 * time.Second)
		synctest.Wait()
		doc = s.Get("boiler", adapters.ConnectivityShadow)
		if doc["online"] != true {
			t.Errorf("connectivity after an answer = %v, want online", doc)
		}
	})
}

func TestSupervisor_KeepsWhatCouldNotBeReported(t *testing.T) {
	run(t, boiler(t), func(v *adapters.Supervisor, f *field, s *fieldtest.Shadows) {
		s.Fail(errors.New("the disk is full"))
		f.read("boiler", "water", num("20"))
		time.Sleep(time.Second)
		f.read("boiler", "water", num("21"))
		f.read("boiler", "setpoint", num("40"))
		time.Sleep(time.Second)
		if n := v.Things()[0].Unreported; n == 0 {
			t.Error("nothing counts as unreported")
		}
		s.Fail(nil)
		time.Sleep(20 * time.Second)
		synctest.Wait()
		got, reports := s.Get("boiler", ""), s.Reports("boiler", "")
		if got["water"] != num("21") || got["setpoint"] != num("40") || reports != 1 {
			t.Errorf("reported %v in %d reports, want the latest in one", got, reports)
		}
	})
}

// TestSupervisor_QualityDoesNotFlood: a point that fails each second poll is no
// update per poll.
func TestSupervisor_QualityDoesNotFlood(t *testing.T) {
	run(t, boiler(t), func(_ *adapters.Supervisor, f *field, s *fieldtest.Shadows) {
		for range 300 {
			f.read("boiler", "water", num("20"))
			time.Sleep(500 * time.Millisecond)
			f.say(adapters.Reading{Thing: "boiler", Path: "water", Quality: adapters.Timeout, Time: time.Now()})
			time.Sleep(500 * time.Millisecond)
		}
		if reports := s.Reports("boiler", adapters.ConnectivityShadow); reports > 40 {
			t.Errorf("%d updates in five minutes", reports)
		}
	})
}
