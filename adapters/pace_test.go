package adapters_test

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"edgeshadow/adapters"
	"edgeshadow/test/fieldtest"
)

// A device that talks fast is reported at its pace: the latest number at its
// end, what is no number at once, and nothing is lost.
func TestSupervisor_Pace(t *testing.T) {
	things := adapters.Things{"scale": {Via: "line", Learns: true, Pace: 10 * time.Second, OfflineAfter: time.Hour}}
	run(t, things, func(_ *adapters.Supervisor, f *field, s *fieldtest.Shadows) {
		f.read("scale", "weight", num("0"))
		synctest.Wait()
		first := s.Reports("scale", "")
		for i := range 50 {
			f.read("scale", "weight", num(fmt.Sprint(i)))
			synctest.Wait()
			time.Sleep(100 * time.Millisecond)
		}
		if n := s.Reports("scale", ""); n != first {
			t.Errorf("%d reports within the pace, want none", n-first)
		}
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if got, n := s.Get("scale", ""), s.Reports("scale", ""); got["weight"] != num("49") || n != first+1 {
			t.Errorf("after the pace: weight %v in %d reports, want 49 in one", got["weight"], n-first)
		}
		f.read("scale", "stable", true)
		synctest.Wait()
		if got := s.Get("scale", ""); got["stable"] != true {
			t.Error("what is no number waited")
		}

		s.Fail(errors.New("the disk is full"))
		time.Sleep(11 * time.Second)
		f.read("scale", "weight", num("70"))
		synctest.Wait()
		s.Fail(nil)
		time.Sleep(time.Second)
		synctest.Wait()
		if got := s.Get("scale", ""); got["weight"] != num("70") {
			t.Errorf("weight %v a second after the sink works again, want 70", got["weight"])
		}
	})
}
