package bridge_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"edgeshadow/bridge"
	"edgeshadow/test/cloudtest"
)

// TestFaults goes through the fault points of SYNC e2 that the reconciler meets:
// whatever happens, both sides are equal in the end, and no more is sent than
// is needed where a number stands.
func TestFaults(t *testing.T) {
	own := object{"desired": object{"d": 1}, "reported": object{"r": 1, "own": 1}}
	push := func(s *site) { s.write(object{"reported": object{"own": 1}}) }
	tests := map[string]struct {
		knobs  func() cloudtest.Knobs
		happen func(s *site)
		sent   map[string]int // nil: any
	}{
		"OwnAccepted": {nil, push, map[string]int{"update": 1}},
		"F-3_CutBeforeTheRequestArrives": {
			func() cloudtest.Knobs { return cloudtest.Knobs{CutBefore: cloudtest.Times(1, "/update")} }, push, nil},
		"F-4_CutAfterTheRequestArrives": {
			func() cloudtest.Knobs { return cloudtest.Knobs{CutAfter: cloudtest.Times(1, "/update")} }, push, nil},
		"F-5_AnswerLost": {
			func() cloudtest.Knobs { return cloudtest.Knobs{LoseAnswer: cloudtest.Times(1, "/update/accepted")} }, push, map[string]int{"update": 1, "get": 1}},
		"F-6_HalfOpen": {
			func() cloudtest.Knobs { return cloudtest.Knobs{LoseAnswer: cloudtest.Times(4, "/")} }, push, nil},
		"F-11_409Once": {
			func() cloudtest.Knobs {
				return cloudtest.Knobs{Reject: cloudtest.Code(409, cloudtest.Times(1, "/update"))}
			}, push, map[string]int{"update": 2, "get": 1}},
		"F-11_409FiveTimes": {
			func() cloudtest.Knobs {
				return cloudtest.Knobs{Reject: cloudtest.Code(409, cloudtest.Times(5, "/update"))}
			}, push, map[string]int{"update": 6, "get": 5}},
		"F-12_429": {
			func() cloudtest.Knobs {
				return cloudtest.Knobs{Reject: cloudtest.Code(429, cloudtest.Times(2, "/update"))}
			}, push, map[string]int{"update": 3}},
		"F-13_500WithoutEffect": {
			func() cloudtest.Knobs {
				return cloudtest.Knobs{Reject: cloudtest.Code(500, cloudtest.Times(1, "/update"))}
			}, push, map[string]int{"update": 2, "get": 1}},
		"F-13_503WithEffect": {
			func() cloudtest.Knobs {
				return cloudtest.Knobs{RejectBadly: cloudtest.Code(503, cloudtest.Times(1, "/update"))}
			}, push, map[string]int{"update": 1, "get": 1}},
		"F-16_AnswerTwice": {
			func() cloudtest.Knobs { return cloudtest.Knobs{Duplicate: cloudtest.Always("/accepted")} }, push, map[string]int{"update": 1}},
		"F-17_EventLost": {
			func() cloudtest.Knobs { return cloudtest.Knobs{LoseAnswer: cloudtest.Times(1, "/update/accepted")} },
			func(s *site) {
				s.app(object{"reported": object{"own": 0}})
				s.app(object{"reported": object{"own": 1}})
			}, map[string]int{"get": 1}},
		"F-17_EventsTwiceAndLate": {
			func() cloudtest.Knobs {
				return cloudtest.Knobs{Duplicate: cloudtest.Always("/accepted"), Delay: func(string) time.Duration { return 300 * time.Millisecond }}
			},
			func(s *site) {
				s.app(object{"reported": object{"own": 0}})
				s.app(object{"reported": object{"own": 1}})
			}, map[string]int{}},
		"F-17_EventsReordered": { // I2: without loss convergence needs no get
			func() cloudtest.Knobs {
				return cloudtest.Knobs{Reorder: cloudtest.Times(1, "/accepted"), Delay: func(string) time.Duration { return 300 * time.Millisecond }}
			},
			func(s *site) {
				s.app(object{"reported": object{"own": 0}})
				s.app(object{"reported": object{"own": 1}})
			}, map[string]int{}},
		"F-20_CounterStartsOver": {nil, func(s *site) {
			s.link.KillSession()
			s.cloud.Delete("lamp", "")
			s.cloud.Forget("lamp", "")
			s.app(own)
			s.link.Connect(false)
		}, nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			inSite(t, bridge.Default(), func(t *testing.T, s *site) {
				s.synced(base)
				s.wait(time.Minute)
				since := s.requests()
				if tt.knobs != nil {
					s.link.Turn(tt.knobs())
				}
				tt.happen(s)
				for range 20 {
					s.wait(5 * time.Second)
					s.link.Connect(true)
				}
				s.heal()
				s.equal(own)
				if tt.sent != nil {
					s.sent(since, tt.sent)
				}
				s.expectLost()
			})
		})
	}
}

// F-11: a foreign writer that is always quicker can't keep the device's state
// out of the cloud.
func TestFaults_F11_HotForeignWriter(t *testing.T) {
	inSite(t, bridge.Default(), func(t *testing.T, s *site) {
		s.synced(base)
		n := 0
		s.link.Turn(cloudtest.Knobs{Reject: func(topic string) int {
			if strings.HasSuffix(topic, "/update") {
				if n++; n <= 8 {
					return 409
				}
			}
			return 0
		}})
		s.write(object{"reported": object{"own": 1}})
		for i := 0; s.there()["reported"].(map[string]any)["own"] == nil; i++ {
			if i > 2000 {
				t.Fatalf("the device's state never came through; %d refused", n)
			}
			s.app(object{"desired": object{"hot": i}})
			s.wait(time.Second)
		}
		s.heal()
		if got := s.here()["reported"].(map[string]any)["own"]; got != float64(1) {
			t.Errorf("here own is %v", got)
		}
	})
}

// F-14: what the cloud refuses for good is sent once, told, and tried again when
// either side has changed.
func TestFaults_F14_Refused(t *testing.T) {
	for _, code := range []int{400, 413} {
		t.Run(fmt.Sprint(code), func(t *testing.T) {
			inSite(t, bridge.Default(), func(t *testing.T, s *site) {
				s.synced(base)
				since := s.requests()
				s.link.Turn(cloudtest.Knobs{Reject: cloudtest.Code(code, cloudtest.Always("/update"))})
				s.write(object{"reported": object{"own": 1}})
				s.wait(time.Hour)
				s.sent(since, map[string]int{"update": 1})
				if got := s.state(); got != "rejected" {
					t.Errorf("the shadow is %s", got)
				}
				s.link.Turn(cloudtest.Knobs{})
				s.app(object{"desired": object{"d": 2}})
				s.heal()
				s.equal(object{"desired": object{"d": 2}, "reported": object{"r": 1, "own": 1}})
			})
		})
	}
}

// F-14, I14: a forbidden shadow is probed every quarter of an hour, and never
// holds the others up.
func TestFaults_F14_Forbidden(t *testing.T) {
	inSite(t, bridge.Default(), func(t *testing.T, s *site) {
		s.synced(base)
		since := s.requests()
		s.link.Turn(cloudtest.Knobs{Reject: cloudtest.Code(403, cloudtest.Always("things/lamp/shadow/update"))})
		s.write(object{"reported": object{"own": 1}})
		s.wait(time.Second)
		if got := s.state(); got != "forbidden" {
			t.Errorf("the shadow is %s", got)
		}
		for range 60 {
			s.write(object{"reported": object{"own": 1}})
			s.wait(time.Minute)
		}
		if n := since()["update"]; n < 3 || n > 5 {
			t.Errorf("%d probes in an hour", n)
		}
		s.link.Turn(cloudtest.Knobs{})
		s.wait(17 * time.Minute)
		s.equal(object{"desired": object{"d": 1}, "reported": object{"r": 1, "own": 1}})
	})
}

// F-12: a 429 halves the rate, and clean seconds bring it back.
func TestFaults_F12_Throttled(t *testing.T) {
	inSite(t, bridge.Default(), func(t *testing.T, s *site) {
		s.synced(base)
		s.link.Turn(cloudtest.Knobs{Reject: cloudtest.Code(429, cloudtest.Times(1, "/update"))})
		s.write(object{"reported": object{"own": 1}})
		s.wait(time.Second)
		if got := s.sync.Stats().Rate; got != 10 {
			t.Errorf("after a 429 the rate is %v", got)
		}
		s.heal()
		for i := range 12 {
			s.wait(10 * time.Second)
			s.write(object{"reported": object{"own": i}})
		}
		s.wait(time.Second)
		if got := s.sync.Stats().Rate; got != 20 {
			t.Errorf("after two minutes the rate is %v", got)
		}
	})
}

// F-15, F-22: what makes no sense, or was asked by nobody, changes nothing but
// that the document is got where it might have meant something.
func TestFaults_F15_F22_Nonsense(t *testing.T) {
	messages := []string{
		``, `no json`, `[]`, `{}`, `{"version":"x"}`, `{"version":9}`, `{"state":[],"version":2,"timestamp":1}`,
		`{"state":{"desired":{"d":7}},"version":1,"timestamp":1,"clientToken":"foreign"}`,
		`{"code":409,"message":"not ours","clientToken":"foreign"}`, `{"code":"x"}`, `{"code":500}`,
		`{"state":` + strings.Repeat(`{"a":`, 200) + `1` + strings.Repeat(`}`, 200) + `,"version":2,"timestamp":1}`,
	}
	inSite(t, bridge.Default(), func(t *testing.T, s *site) {
		s.synced(base)
		var acked atomic.Int64
		for _, suffix := range []string{"update/accepted", "update/rejected", "get/accepted", "get/rejected", "delete/accepted", "delete/rejected", "update/delta"} {
			for _, m := range messages {
				s.sync.Message("$aws/things/lamp/shadow/"+suffix, []byte(m), func() { acked.Add(1) })
				s.sync.Message("$aws/things/stranger/shadow/"+suffix, []byte(m), func() { acked.Add(1) })
			}
		}
		s.sync.Message("something/else", nil, func() { acked.Add(1) })
		s.wait(time.Second)
		if want := 7*len(messages)*2 + 1; acked.Load() != int64(want) {
			t.Errorf("%d of %d messages acknowledged", acked.Load(), want)
		}
		s.heal()
		s.equal(base)
		s.write(object{"reported": object{"own": 1}})
		s.heal()
		s.equal(object{"desired": object{"d": 1}, "reported": object{"r": 1, "own": 1}})
	})
}

// F-19: a 404 that a create has overtaken is asked again.
func TestFaults_F19_OvertakenByACreate(t *testing.T) {
	inSite(t, bridge.Default(), func(t *testing.T, s *site) {
		s.link.Turn(cloudtest.Knobs{Delay: func(topic string) time.Duration {
			if strings.HasSuffix(topic, "/rejected") {
				return 2 * time.Second
			}
			return 0
		}})
		s.link.Connect(false)
		s.wait(time.Second)
		s.app(base)
		s.heal()
		s.equal(base)
	})
}

// F-21: a foreign delete and a foreign edit between our get and our delete.
func TestFaults_F21_BetweenGetAndDelete(t *testing.T) {
	inSite(t, bridge.Default(), func(t *testing.T, s *site) {
		s.synced(base)
		s.link.Turn(cloudtest.Knobs{Before: func(topic string) {
			if strings.HasSuffix(topic, "/delete") {
				s.app(object{"desired": object{"late": 1}})
			}
		}})
		s.remove()
		s.wait(time.Second)
		s.heal()
		s.equal(object{"desired": object{"d": 1, "late": 1}})
		s.expectLost("desired")
	})
}

// F-29: a configuration takes shadows out and in while things happen.
func TestFaults_F29_Reconfigured(t *testing.T) {
	none := bridge.Default()
	none.Things = []string{"other-*"}
	for _, st := range states {
		if st.name == "B" {
			continue // what is too large can't be written to
		}
		t.Run(st.name, func(t *testing.T) {
			inSite(t, bridge.Default(), func(t *testing.T, s *site) {
				st.enter(s)
				s.wait(0)
				prepared := func(cfg bridge.Config) {
					commit, _, err := s.sync.Prepare(cfg)
					if err != nil {
						t.Fatal(err)
					}
					commit()
				}
				prepared(none)
				s.link.Turn(cloudtest.Knobs{})
				s.link.Connect(true)
				s.wait(time.Second)
				since := s.requests()
				s.write(object{"reported": object{"own": 9}})
				s.wait(time.Minute)
				s.sent(since, map[string]int{})
				prepared(bridge.Default())
				s.heal()
				if got := s.there()["reported"].(map[string]any)["own"]; got != float64(9) {
					t.Errorf("taken in again, the cloud has %v", s.there())
				}
				if faults := (bridge.Config{}).Validate(); len(faults) == 0 {
					t.Error("an empty configuration is valid")
				}
			})
		})
	}
}

// I10: every change of the local document, through a merge too, is told to local
// subscribers.
func TestFaults_EveryDeltaIsHeard(t *testing.T) {
	inSite(t, bridge.Default(), func(t *testing.T, s *site) {
		var heard atomic.Int64
		s.synced(base)
		s.app(object{"desired": object{"d": 5}})
		s.wait(time.Second)
		for _, m := range s.heard.Messages() {
			if strings.HasSuffix(m.Topic, "update/delta") {
				heard.Add(1)
			}
		}
		if heard.Load() < 2 {
			t.Errorf("%d deltas heard", heard.Load())
		}
	})
}

// I7: a thing's rate is bound, and never more than eight requests wait for an answer.
func TestFaults_F12_InFlight(t *testing.T) {
	inSite(t, bridge.Default(), func(t *testing.T, s *site) {
		for i := range 40 {
			s.sync.Know(fmt.Sprint("thing-", i))
		}
		s.link.Enforce(cloudtest.Quotas{InFlight: 10, PerThing: 10, PerSecond: 45})
		s.link.Turn(cloudtest.Knobs{Delay: func(string) time.Duration { return 700 * time.Millisecond }})
		s.link.Connect(false)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := s.link.AwaitRequests(ctx, "get", 41); err != nil {
			t.Fatal(err)
		}
		if s.link.Broken() != 0 || s.link.MostWaiting() > 8 {
			t.Errorf("%d quotas broken, %d requests waited at once", s.link.Broken(), s.link.MostWaiting())
		}
	})
}
