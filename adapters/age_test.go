package adapters_test

import (
	"context"
	"errors"
	"maps"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"edgeshadow/adapters"
	"edgeshadow/test/fieldtest"
)

// ages is Ages whose gateway runs for as long as the test, after earlier runs.
type ages struct {
	began   time.Time
	earlier time.Duration // that it ran before
	arrived time.Duration // how old what is desired was when it came
	stamp   int64         // of the cloud

	mu   sync.Mutex
	kept map[string]adapters.Asked
}

func (a *ages) Age() time.Duration { return a.earlier + time.Since(a.began) }
func (a *ages) Asked(string, string, any) (time.Duration, int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.arrived, a.stamp
}
func (a *ages) Load(string) (map[string]adapters.Asked, error) { return a.kept, nil }
func (a *ages) Save(_ context.Context, _ string, asked map[string]adapters.Asked) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.kept = asked
	return nil
}

// offline is a boiler whose device is silent at first.
func offline(t *testing.T) adapters.Things {
	things := boiler(t)
	b := things["boiler"]
	b.MaxAge = 10 * time.Minute
	things["boiler"] = b
	return things
}

func TestSupervisor_MaxAge(t *testing.T) {
	for name, c := range map[string]struct {
		arrived, wait time.Duration
		held          string // by the device when it comes back
		written       bool
		refused       string
	}{
		"Young":       {0, 9*time.Minute + 17*time.Second, "40", true, ""},
		"Old":         {0, 11 * time.Minute, "40", false, "not executed: it was 11m0s old"},
		"OldAtCloud":  {8 * time.Minute, 3 * time.Minute, "40", false, "not executed: it was 11m0s old"},
		"OldAndHeld":  {0, 11 * time.Minute, "50", false, ""},
		"OldOnArrive": {time.Hour, 0, "40", false, "not executed: it was 1h0m0s old"},
	} {
		t.Run(name, func(t *testing.T) {
			run(t, offline(t), func(v *adapters.Supervisor, f *field, s *fieldtest.Shadows) {
				v.Ages = &ages{began: time.Now(), arrived: c.arrived, stamp: int64(c.arrived)}
				time.Sleep(2 * time.Minute) // offline
				v.Actuate("boiler", "", map[string]any{"setpoint": num("50")})
				time.Sleep(c.wait)
				f.read("boiler", "setpoint", num(c.held))
				synctest.Wait()
				if got := len(f.written()); (got == 1) != c.written || got > 1 {
					t.Errorf("%d writes", got)
				}
				doc := s.Get("boiler", adapters.ConnectivityShadow)
				reasons, _ := doc["refused"].(map[string]any)
				reason, _ := reasons["setpoint"].(string)
				if !strings.HasPrefix(reason, c.refused) || c.refused == "" && reason != "" {
					t.Errorf("refused = %q, want %q", reason, c.refused)
				}
				if c.refused == "" {
					return
				}
				// Asked for again, it is a new command: a local client's write tells,
				// and of the cloud only the stamp does.
				a := v.Ages.(*ages)
				a.mu.Lock()
				a.arrived = 0
				if a.stamp != 0 {
					a.stamp++
				}
				a.mu.Unlock()
				if a.stamp == 0 {
					v.Actuate("boiler", "", map[string]any{"setpoint": num("50")}, "setpoint")
				}
				time.Sleep(10 * time.Second)
				synctest.Wait()
				if got := f.written(); len(got) != 1 || got[0].Value != num("50") {
					t.Errorf("written after it was asked for again: %v", got)
				}
			})
		})
	}
}

// TestSupervisor_MaxAgeOverRestarts: a restart makes no command young, and a
// time in which the gateway was off does not count.
func TestSupervisor_MaxAgeOverRestarts(t *testing.T) {
	kept := &ages{}
	life := func(earlier, wait time.Duration, value string) (writes int) {
		run(t, offline(t), func(v *adapters.Supervisor, f *field, _ *fieldtest.Shadows) {
			kept.began, kept.earlier = time.Now(), earlier
			v.Ages = kept
			f.mu.Lock()
			f.refuse = errors.New("timeout")
			f.mu.Unlock()
			v.Actuate("boiler", "", map[string]any{"setpoint": num(value)})
			time.Sleep(wait) // the device is silent
			before := len(f.written())
			f.mu.Lock()
			f.refuse = nil
			f.mu.Unlock()
			f.read("boiler", "setpoint", num("40"))
			synctest.Wait()
			writes = len(f.written()) - before
		})
		return writes
	}
	life(0, time.Millisecond, "50")
	first := maps.Clone(kept.kept)
	if len(first) != 1 {
		t.Fatalf("kept %v, want the one that is desired", first)
	}
	if n := life(6*time.Minute, 5*time.Minute, "50"); n != 0 {
		t.Errorf("%d writes of a command that waited for 11 minutes, 6 of them in an earlier life", n)
	}
	if kept.kept["setpoint"].Since != first["setpoint"].Since {
		t.Errorf("since %v after a restart, want %v", kept.kept["setpoint"].Since, first["setpoint"].Since)
	}
	if n := life(8*time.Minute, time.Minute, "50"); n != 1 {
		t.Errorf("%d writes of a command that waited for 9 minutes", n)
	}
	life(11*time.Minute, time.Second, "60")
	if kept.kept["setpoint"].Since == first["setpoint"].Since {
		t.Error("another value is as old as the one before")
	}
}
