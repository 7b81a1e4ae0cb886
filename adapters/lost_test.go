package adapters_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"edgeshadow/adapters"
	"edgeshadow/test/fieldtest"
)

// TestSupervisor_ReportsAgain: what a shadow lost is reported with the device's
// next word, though the device holds what it held.
func TestSupervisor_ReportsAgain(t *testing.T) {
	for name, c := range map[string]struct {
		altered map[string]any
		want    map[string]any // reported after the next words
	}{
		"Deleted":     {map[string]any{"water": nil, "pump": nil}, map[string]any{"water": num("20"), "pump": map[string]any{"on": true}}},
		"Overwritten": {map[string]any{"water": num("99")}, map[string]any{"water": num("20")}},
		"ParentGone":  {map[string]any{"pump": nil}, map[string]any{"pump": map[string]any{"on": true}}},
		"NoObject":    {map[string]any{"pump": "off"}, map[string]any{"pump": map[string]any{"on": true}}},
		"OwnWord":     {map[string]any{"water": num("20")}, nil},
		"NoPoint":     {map[string]any{"note": nil}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			things := boiler(t)
			things["boiler"].Points["pump.on"] = adapters.Point{Every: time.Hour}
			run(t, things, func(v *adapters.Supervisor, f *field, s *fieldtest.Shadows) {
				words := func() {
					f.read("boiler", "water", num("20"))
					f.read("boiler", "pump.on", true)
					time.Sleep(time.Second)
					synctest.Wait()
				}
				words()
				s.Forget("boiler", "")
				words()
				if got := s.Get("boiler", ""); len(got) > 0 {
					t.Fatalf("reported again without need: %v", got)
				}
				v.Reported("boiler", "", c.altered)
				words()
				if diff := cmp.Diff(c.want, s.Get("boiler", "")); diff != "" {
					t.Errorf("reported (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// What is desired and held already is the device's word, where the shadow lost it.
func TestSupervisor_DesiredAfterALoss(t *testing.T) {
	run(t, boiler(t), func(v *adapters.Supervisor, f *field, s *fieldtest.Shadows) {
		f.read("boiler", "setpoint", num("31.5"))
		time.Sleep(time.Second)
		s.Forget("boiler", "")
		v.Reported("boiler", "", map[string]any{"setpoint": nil})
		v.Actuate("boiler", "", map[string]any{"setpoint": num("31.5")})
		time.Sleep(time.Second)
		synctest.Wait()
		if got := s.Get("boiler", ""); got["setpoint"] != num("31.5") {
			t.Errorf("reported %v", got)
		}
		if n := len(f.written()); n > 0 {
			t.Errorf("%d writes of what the device holds", n)
		}
	})
}

// The connectivity shadow that was deleted is told anew.
func TestSupervisor_ConnectivityLost(t *testing.T) {
	run(t, boiler(t), func(v *adapters.Supervisor, f *field, s *fieldtest.Shadows) {
		f.read("boiler", "water", num("20"))
		time.Sleep(time.Second)
		s.Forget("boiler", adapters.ConnectivityShadow)
		v.Reported("boiler", adapters.ConnectivityShadow, map[string]any{"online": nil, "since": nil})
		synctest.Wait()
		if got := s.Get("boiler", adapters.ConnectivityShadow); got["online"] != true || got["since"] == nil {
			t.Errorf("connectivity %v", got)
		}
	})
}
