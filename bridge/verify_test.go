package bridge_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"edgeshadow/bridge"
	"edgeshadow/localshadow/shadow"
	"edgeshadow/test/cloudtest"
)

// A comparison on demand finds what an event that was lost would have said.
func TestVerify(t *testing.T) {
	inSite(t, bridge.Default(), func(t *testing.T, s *site) {
		s.synced(base)
		s.link.Turn(cloudtest.Knobs{LoseAnswer: cloudtest.Times(1, "/update/accepted")})
		s.app(object{"desired": object{"d": 2}})
		since := s.requests()
		got, err := s.sync.Verify(t.Context(), "lamp")
		if err != nil || len(got) != 1 || got[0].State != "clean" {
			t.Errorf("got %+v, %v", got, err)
		}
		s.equal(object{"desired": object{"d": 2}, "reported": object{"r": 1}})
		s.sent(since, map[string]int{"get": 1})
		var refused *shadow.Error
		if _, err := s.sync.Verify(t.Context(), "stranger"); !errors.As(err, &refused) || refused.Code != 404 {
			t.Errorf("of a thing that nobody knows: %v", err)
		}
	})
}

// Whoever asks in a loop does not keep pushes out: those of the same shadow, of
// others of the thing, and of other things.
func TestVerify_InALoop(t *testing.T) {
	inSite(t, bridge.Default(), func(t *testing.T, s *site) {
		s.synced(base)
		other := shadow.ID{Thing: "other"}
		s.sync.Know("other")
		s.wait(time.Second)
		ctx, stop := context.WithCancel(t.Context())
		for range 3 {
			go func() {
				for ctx.Err() == nil {
					if _, err := s.sync.Verify(ctx, "lamp"); err != nil {
						t.Error(err)
					}
				}
			}()
		}
		since, began := s.requests(), time.Now()
		for i := range 30 {
			s.write(object{"reported": object{"own": i}})
			if _, err := s.service.Update(t.Context(), other, []byte(`{"state":{"reported":{"n":1}}}`)); err != nil {
				t.Fatal(err)
			}
			s.wait(time.Second)
			if got := s.there()["reported"].(map[string]any)["own"]; got != float64(i) {
				t.Errorf("a second after write %d the cloud has %v", i, got)
			}
		}
		if n, most := since()["get"], int(time.Since(began)/(2*time.Second))+3; n > most {
			t.Errorf("%d gets in %v", n, time.Since(began))
		}
		if got, _ := s.cloud.State("other", ""); got == nil {
			t.Error("the other thing's shadow has not come through")
		}
		stop()
		synctest.Wait()
	})
}

// A thing that is forgotten costs nothing, and changes of the cloud are none of
// ours; one that has a shadow stays.
func TestForget(t *testing.T) {
	inSite(t, bridge.Default(), func(t *testing.T, s *site) {
		s.synced(base)
		s.sync.Know("gone")
		s.wait(time.Second)
		for _, thing := range []string{"gone", "lamp", "stranger"} {
			if err := s.sync.Forget(thing); err != nil {
				t.Fatal(err)
			}
		}
		if got := s.sync.Things(); !slices.Equal(got, []string{"lamp"}) {
			t.Errorf("known are %q", got)
		}
		since := s.requests()
		s.cloud.Update("gone", "", object{"desired": object{"d": 1}})
		s.app(object{"desired": object{"d": 2}})
		s.link.KillSession()
		s.link.Connect(false)
		s.wait(time.Minute)
		s.sent(since, map[string]int{"get": 1})
		if d, err := s.service.Document(shadow.ID{Thing: "gone"}); err != nil || d != nil {
			t.Errorf("the shadow of a thing that is gone came: %v, %v", d, err)
		}
		s.equal(object{"desired": object{"d": 2}, "reported": object{"r": 1}})
		s.sync.Know("gone") // made again
		s.wait(time.Second)
		if d, err := s.service.Document(shadow.ID{Thing: "gone"}); err != nil || d == nil {
			t.Errorf("the shadow of a thing that is back has not come: %v", err)
		}
	})
}
