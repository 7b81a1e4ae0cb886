package adapters_test

import (
	"encoding/json"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"edgeshadow/adapters"
	"edgeshadow/test/fieldtest"
)

func boiler(t *testing.T) adapters.Things {
	return adapters.Things{"boiler": {Bus: "line", OfflineAfter: time.Minute, Points: map[string]adapters.Point{
		"setpoint": {Write: true, Min: decimal(t, "5"), Max: decimal(t, "80"), Step: decimal(t, "0.5"), Every: time.Hour},
		"water":    {Every: time.Hour},
	}}}
}

func TestSupervisor_Actuate(t *testing.T) {
	for name, c := range map[string]struct {
		desired any
		written any // nil: nothing is
		refused string
		quality adapters.Quality
	}{
		"Written":     {num("55.5"), num("55.5"), "", ""},
		"Clamped":     {num("99"), num("80"), "", adapters.Clamped},
		"Raised":      {num("-1"), num("5"), "", adapters.Clamped},
		"HeldAlready": {num("40"), nil, "", ""},
		"OffStep":     {num("40.25"), nil, "40.25 is no step of 0.5 from 5 on", ""},
		"WrongType":   {true, nil, "want a number, have true", ""},
	} {
		t.Run(name, func(t *testing.T) {
			run(t, boiler(t), func(v *adapters.Supervisor, f *field, s *fieldtest.Shadows) {
				f.read("boiler", "setpoint", num("40"))
				v.Actuate("boiler", "", map[string]any{"setpoint": c.desired, "nobody": true})
				synctest.Wait()
				w := f.written()
				if c.written == nil && len(w) > 0 || c.written != nil && (len(w) != 1 || w[0].Value != c.written) {
					t.Fatalf("written %v, want %v", w, c.written)
				}
				want := num("40")
				if c.written != nil {
					want = c.written.(json.Number)
				}
				if got := s.Get("boiler", ""); got["setpoint"] != want {
					t.Errorf("reported %v, want %v", got["setpoint"], want)
				}
				st := v.Things()[0]
				if st.Refused["setpoint"] != c.refused || st.Quality["setpoint"] != c.quality {
					t.Errorf("refused %q quality %q, want %q %q", st.Refused["setpoint"], st.Quality["setpoint"], c.refused, c.quality)
				}
			})
		})
	}
}

func TestSupervisor_RefusalDoesNotRepeat(t *testing.T) {
	run(t, boiler(t), func(v *adapters.Supervisor, f *field, s *fieldtest.Shadows) {
		f.refuse = &adapters.RefusedError{Reason: "exception 3 (illegal data value)", Lasting: true}
		f.read("boiler", "setpoint", num("40"))
		v.Actuate("boiler", "", map[string]any{"setpoint": num("50"), "water": num("1")})
		for range 100 {
			time.Sleep(time.Second)
			f.read("boiler", "setpoint", num("40"))
		}
		synctest.Wait()
		if n := len(f.written()); n != 1 {
			t.Errorf("%d writes of a value that is refused for good, want 1", n)
		}
		got := s.Get("boiler", adapters.ConnectivityShadow)
		refused, _ := got["refused"].(map[string]any)
		if refused["setpoint"] != "exception 3 (illegal data value)" || refused["water"] == nil {
			t.Errorf("connectivity = %v, want the refusals with their reasons", got)
		}

		// Another value is another attempt, and clears the refusal.
		f.mu.Lock()
		f.refuse = nil
		f.mu.Unlock()
		v.Actuate("boiler", "", map[string]any{"setpoint": num("45")})
		synctest.Wait()
		if got := s.Get("boiler", adapters.ConnectivityShadow); got["refused"] != nil {
			t.Errorf("connectivity = %v, want no refusal", got)
		}
	})
}

func TestSupervisor_WriteWithoutAnswer(t *testing.T) {
	run(t, boiler(t), func(v *adapters.Supervisor, f *field, s *fieldtest.Shadows) {
		f.read("boiler", "setpoint", num("40"))
		f.refuse = errors.New("timeout")
		v.Actuate("boiler", "", map[string]any{"setpoint": num("50")})
		for range 60 {
			time.Sleep(time.Second)
			f.read("boiler", "setpoint", num("40")) // reads are answered
		}
		if n := len(f.written()); n < 3 || n > 10 {
			t.Errorf("%d writes in a minute, want some, ever rarer", n)
		}
		f.mu.Lock()
		f.refuse = nil
		f.mu.Unlock()
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if got := s.Get("boiler", ""); got["setpoint"] != num("50") {
			t.Errorf("reported %v, want 50 once writes are answered", got["setpoint"])
		}
	})
}
