package bridge_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"edgeshadow/bridge"
	"edgeshadow/test/cloudtest"
)

// apart makes different edits on both sides while they can't see each other.
func (s *site) apart(here, there func()) {
	s.link.Cut()
	here()
	s.wait(10 * time.Second) // so that a time tells them apart
	there()
	s.wait(10 * time.Second)
}

// TestDeletion is SYNC d6, row by row: who deleted, what the other side did since.
func TestDeletion(t *testing.T) {
	tests := map[string]struct {
		here, there func(s *site)
		want        object
		lost        []string // by the journal
	}{
		"CloudDeletes_NothingEdited": {func(*site) {}, func(s *site) { s.cloud.Delete("lamp", "") }, nil, nil},
		"CloudDeletes_ReportedEdited": {
			func(s *site) { s.write(object{"reported": object{"own": 1}}) },
			func(s *site) { s.cloud.Delete("lamp", "") },
			object{"reported": object{"r": 1, "own": 1}}, []string{"reported"}},
		"CloudDeletes_OnlyDesiredEdited": {
			func(s *site) { s.write(object{"desired": object{"d": 2}}) },
			func(s *site) { s.cloud.Delete("lamp", "") },
			nil, []string{"desired.d"}},
		"DeviceDeletes_NothingEdited": {func(s *site) { s.remove() }, func(*site) {}, nil, nil},
		"DeviceDeletes_DesiredEdited": {
			func(s *site) { s.remove() },
			func(s *site) { s.app(object{"desired": object{"app": 3}}) },
			object{"desired": object{"d": 1, "app": 3}}, []string{"desired"}},
		"DeviceDeletes_OnlyReportedTouched": {
			func(s *site) { s.remove() },
			func(s *site) { s.app(object{"reported": object{"r": 5}}) },
			nil, []string{"reported.r"}},
		"BothDelete": {func(s *site) { s.remove() }, func(s *site) { s.cloud.Delete("lamp", "") }, nil, nil},
		"CloudDeletesAndMakesAgain": {
			func(s *site) { s.write(object{"reported": object{"own": 1}}) },
			func(s *site) {
				s.cloud.Delete("lamp", "")
				s.app(object{"desired": object{"app": 3}})
			},
			object{"desired": object{"app": 3}, "reported": object{"own": 1}}, nil},
		"DeviceDeletesAndMakesAgain": {
			func(s *site) {
				s.remove()
				s.write(object{"reported": object{"own": 1}})
			},
			func(*site) {}, object{"reported": object{"own": 1}}, nil},
	}
	for name, tt := range tests {
		for _, kept := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s/kept=%v", name, kept), func(t *testing.T) {
				inSite(t, bridge.Default(), func(t *testing.T, s *site) {
					s.synced(base)
					s.apart(func() { tt.here(s) }, func() { tt.there(s) })
					s.link.Connect(kept)
					s.heal()
					if kept && name == "CloudDeletesAndMakesAgain" {
						// The replay tells of the delete, which a get would not.
						s.equal(object{"desired": object{"app": 3}, "reported": object{"r": 1, "own": 1}})
						return
					}
					s.equal(tt.want)
					s.expectLost(tt.lost...)
				})
			})
		}
	}
}

// TestLostAnswers is SYNC d8, row by row: the answer to an update was lost with
// the link, and something happened in the cloud.
func TestLostAnswers(t *testing.T) {
	tests := map[string]struct {
		applied bool
		then    func(s *site)
		later   func(s *site) // a newer local edit, before the link is back
		want    object
		lost    []string
	}{
		"NeverApplied": {false, nil, nil, with(base, "desired", "d", 2), nil},
		"Applied":      {true, nil, nil, with(base, "desired", "d", 2), nil},
		"AppliedAndNewerEditHere": {true, nil,
			func(s *site) { s.write(object{"desired": object{"d": 9}}) }, with(base, "desired", "d", 9), nil},
		"NotApplied_OthersChanged": {false, func(s *site) { s.app(object{"desired": object{"app": 3}}) }, nil,
			with(with(base, "desired", "d", 2), "desired", "app", 3), nil},
		"AppliedAndSetBack": {true, func(s *site) { s.app(object{"desired": object{"d": 1}}) }, nil, base, []string{"desired.d"}},
		"AThirdValue":       {true, func(s *site) { s.app(object{"desired": object{"d": 5}}) }, nil, with(base, "desired", "d", 5), []string{"desired.d"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			inSite(t, bridge.Default(), func(t *testing.T, s *site) {
				s.synced(base)
				s.wait(2 * time.Second) // stamps are in seconds
				knobs := cloudtest.Knobs{CutBefore: cloudtest.Times(1, "/update")}
				if tt.applied {
					knobs = cloudtest.Knobs{CutAfter: cloudtest.Times(1, "/update")}
				}
				s.link.Turn(knobs)
				s.write(object{"desired": object{"d": 2}})
				s.wait(2 * time.Second)
				s.link.KillSession()
				if tt.then != nil {
					tt.then(s)
				}
				if tt.later != nil {
					tt.later(s)
				}
				s.link.Connect(false)
				s.heal()
				s.equal(tt.want)
				s.expectLost(tt.lost...)
			})
		})
	}
}

// TestReconnect is the table of SYNC d4: what a reconnect costs.
func TestReconnect(t *testing.T) {
	own := func(s *site) { s.write(object{"reported": object{"own": 1}}) }
	app := func(s *site) { s.app(object{"desired": object{"app": 3}}) }
	same := func(s *site) { s.app(object{"reported": object{"own": 1}}) }
	nothing := func(*site) {}
	tests := map[string]struct {
		kept                  bool
		here, there           func(s *site)
		updateFirst, getFirst map[string]int
	}{
		"CleanKept":              {true, nothing, nothing, map[string]int{}, map[string]int{}},
		"CleanLost":              {false, nothing, nothing, map[string]int{"get": 1}, map[string]int{"get": 1}},
		"DirtyCloudUnchanged":    {false, own, nothing, map[string]int{"update": 1}, map[string]int{"get": 1, "update": 1}},
		"DirtyCloudChanged":      {false, own, app, map[string]int{"get": 1, "update": 2}, map[string]int{"get": 1, "update": 1}},
		"DirtyCloudHasIt":        {false, own, same, map[string]int{"get": 1, "update": 1}, map[string]int{"get": 1}},
		"DirtyKept":              {true, own, app, map[string]int{"update": 1}, map[string]int{"update": 1}},
		"DeletePending":          {false, func(s *site) { s.remove() }, nothing, map[string]int{"get": 1, "delete": 1}, map[string]int{"get": 1, "delete": 1}},
		"TenThousandWritesApart": {true, func(s *site) { s.many(300) }, nothing, map[string]int{"update": 1}, map[string]int{"update": 1}},
	}
	for name, tt := range tests {
		for _, mode := range []string{bridge.UpdateFirst, bridge.GetFirst} {
			t.Run(name+"/"+mode, func(t *testing.T) {
				cfg := bridge.Default()
				cfg.Reconcile = mode
				inSite(t, cfg, func(t *testing.T, s *site) {
					s.synced(base)
					s.apart(func() { tt.here(s) }, func() { tt.there(s) })
					want := tt.updateFirst
					if mode == bridge.GetFirst {
						want = tt.getFirst
					}
					since := s.requests()
					s.link.Connect(tt.kept)
					s.heal()
					s.sent(since, want)
				})
			})
		}
	}
}

func (s *site) many(n int) {
	for i := range n {
		s.write(object{"reported": object{"n": i}})
	}
}

// A shadow whose pushes keep meeting a change of the cloud is got first.
func TestReconnect_LearnsToGetFirst(t *testing.T) {
	inSite(t, bridge.Default(), func(t *testing.T, s *site) {
		s.synced(base)
		for i := range 5 {
			s.apart(func() { s.write(object{"reported": object{"own": i}}) }, func() { s.app(object{"desired": object{"app": i}}) })
			since := s.requests()
			s.link.Connect(false)
			s.heal()
			want := map[string]int{"get": 1, "update": 2}
			if i >= 3 {
				want["update"] = 1
			}
			s.sent(since, want)
		}
	})
}

// TestConflict is the owner of each section, by option and pattern, and newest
// without a wall clock.
func TestConflict(t *testing.T) {
	tests := map[string]struct {
		conflict bridge.Conflict
		first    string // who edits first
		restart  bool   // before the link is back
		want     object
	}{
		"Default":        {bridge.Default().Conflict, "here", false, object{"desired": object{"d": 3}, "reported": object{"r": 2}}},
		"Cloud":          {bridge.Conflict{Desired: "cloud", Reported: "cloud"}, "there", false, object{"desired": object{"d": 3}, "reported": object{"r": 3}}},
		"Local":          {bridge.Conflict{Desired: "local", Reported: "local"}, "here", false, object{"desired": object{"d": 2}, "reported": object{"r": 2}}},
		"NewestHere":     {bridge.Conflict{Desired: "newest", Reported: "newest"}, "there", false, object{"desired": object{"d": 2}, "reported": object{"r": 2}}},
		"NewestThere":    {bridge.Conflict{Desired: "newest", Reported: "newest"}, "here", false, object{"desired": object{"d": 3}, "reported": object{"r": 3}}},
		"NewestAsBefore": {bridge.Conflict{Desired: "newest", Reported: "newest"}, "there", true, object{"desired": object{"d": 2}, "reported": object{"r": 2}}},
		"NewestInDoubt":  {bridge.Conflict{Desired: "newest", Reported: "newest"}, "both", false, object{"desired": object{"d": 3}, "reported": object{"r": 2}}},
		"NewestOfOne":    {bridge.Conflict{Desired: "newest", Reported: "local"}, "here", false, object{"desired": object{"d": 3}, "reported": object{"r": 2}}},
	}
	for name, tt := range tests {
		for _, kept := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s/kept=%v", name, kept), func(t *testing.T) {
				cfg := bridge.Default()
				cfg.Overrides = []bridge.Override{{Things: []string{"la*"}, Options: bridge.Options{Conflict: tt.conflict}}}
				inSite(t, cfg, func(t *testing.T, s *site) {
					s.synced(base)
					s.link.Cut()
					here := func() { s.write(object{"desired": object{"d": 2}, "reported": object{"r": 2}}) }
					there := func() { s.app(object{"desired": object{"d": 3}, "reported": object{"r": 3}}) }
					edits := []func(){here, there}
					if tt.first == "there" {
						edits = []func(){there, here}
					}
					edits[0]()
					if tt.first != "both" {
						s.wait(10 * time.Second)
					}
					edits[1]()
					s.wait(time.Second)
					if tt.restart {
						s.restart()
					}
					s.link.Connect(kept)
					s.heal()
					s.equal(tt.want)
					if len(s.lost()) != 2 {
						t.Errorf("the journal names %v", s.lost())
					}
				})
			})
		}
	}
}

// first_sync decides about two shadows that never met.
func TestFirstSync(t *testing.T) {
	here := object{"desired": object{"a": 1}, "reported": object{"x": 1}}
	there := object{"desired": object{"a": 2, "b": 2}, "reported": object{"y": 2}}
	tests := map[string]struct {
		want object
		lost []string
	}{
		bridge.Merge: {object{"desired": object{"a": 2, "b": 2}, "reported": object{"x": 1, "y": 2}}, []string{"desired.a"}},
		"cloud":      {there, []string{"desired.a", "reported.x"}},
		"local":      {here, []string{"desired.a", "desired.b", "reported.y"}},
	}
	for option, tt := range tests {
		t.Run(option, func(t *testing.T) {
			cfg := bridge.Default()
			cfg.FirstSync = option
			inSite(t, cfg, func(t *testing.T, s *site) {
				s.write(here)
				s.app(there)
				s.heal()
				s.equal(tt.want)
				s.expectLost(tt.lost...)
			})
		})
	}
}

// delete: propagate and ignore.
func TestDeleteOption(t *testing.T) {
	edit := func(s *site) { s.app(object{"desired": object{"app": 3}}) }
	tests := map[string]struct {
		option      string
		here, there func(s *site)
		wantHere    object
		wantThere   object
	}{
		"PropagateHere": {bridge.Propagate, func(s *site) { s.remove() }, edit, nil, nil},
		"PropagateThere": {bridge.Propagate, func(s *site) { s.write(object{"reported": object{"own": 1}}) },
			func(s *site) { s.cloud.Delete("lamp", "") }, nil, nil},
		"IgnoreHere":  {bridge.Ignore, func(s *site) { s.remove() }, func(*site) {}, nil, base},
		"IgnoreThere": {bridge.Ignore, func(*site) {}, func(s *site) { s.cloud.Delete("lamp", "") }, base, base},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			cfg := bridge.Default()
			cfg.Delete = tt.option
			inSite(t, cfg, func(t *testing.T, s *site) {
				s.synced(base)
				s.apart(func() { tt.here(s) }, func() { tt.there(s) })
				s.link.Connect(true)
				s.heal()
				same(t, "here", s.here(), tt.wantHere)
				same(t, "there", s.there(), tt.wantThere)
			})
		})
	}
}

func same(t *testing.T, side string, got, want object) {
	t.Helper()
	a, _ := json.Marshal(got)
	b, _ := json.Marshal(want)
	if string(a) != string(b) {
		t.Errorf("%s: got %s, want %s", side, a, b)
	}
}

// direction: the cloud follows, the gateway follows.
func TestDirection(t *testing.T) {
	for _, direction := range []bridge.Direction{bridge.Up, bridge.Down} {
		t.Run(string(direction), func(t *testing.T) {
			cfg := bridge.Default()
			cfg.Direction = direction
			inSite(t, cfg, func(t *testing.T, s *site) {
				s.synced2(direction)
				s.write(object{"reported": object{"own": 1}})
				s.app(object{"desired": object{"app": 3}})
				s.heal()
				if direction == bridge.Up {
					s.equal(with(base, "reported", "own", 1))
					return
				}
				same(t, "there", s.there(), with(base, "desired", "app", 3))
				same(t, "here", s.here(), with(with(base, "desired", "app", 3), "reported", "own", 1))
			})
		})
	}
}

// synced2 lets the leading side have base first.
func (s *site) synced2(direction bridge.Direction) {
	s.t.Helper()
	if direction == bridge.Up {
		s.write(base)
	} else {
		s.app(base)
	}
	s.heal()
	s.equal(base)
}

// oversize: held and told, and what fits goes when that is wished for.
func TestOversize(t *testing.T) {
	big := func(c string) string { return strings.Repeat(c, 3500) }
	for _, option := range []string{bridge.Hold, bridge.Partial} {
		t.Run(option, func(t *testing.T) {
			cfg := bridge.Default()
			cfg.Oversize = option
			inSite(t, cfg, func(t *testing.T, s *site) {
				s.synced(base)
				s.apart(func() { s.write(object{"reported": object{"a": big("a"), "b": big("b"), "r": nil}}) },
					func() { s.app(object{"desired": object{"c": big("c")}}) })
				since := s.requests()
				s.link.Connect(true)
				s.wait(time.Hour)
				if got := s.state(); got != "oversize" {
					t.Errorf("the shadow is %s", got)
				}
				if got := s.here()["desired"].(map[string]any)["c"]; got != big("c") {
					t.Error("the command did not arrive")
				}
				reported, _ := s.there()["reported"].(map[string]any)
				if option == bridge.Hold {
					s.sent(since, map[string]int{})
				} else if reported["a"] != big("a") || reported["b"] != nil || reported["r"] != nil {
					t.Errorf("the cloud has %.80v", reported)
				}
				s.app(object{"desired": object{"c": nil}})
				s.heal()
				s.equal(object{"desired": object{"d": 1}, "reported": object{"a": big("a"), "b": big("b")}})
			})
		})
	}
}

// min_push_interval and the budget make one message of many changes.
func TestCoalescing(t *testing.T) {
	tests := map[string]struct {
		set  func(c *bridge.Config)
		most int
	}{
		"HalfASecond": {func(*bridge.Config) {}, 125},
		"TenSeconds":  {func(c *bridge.Config) { c.MinPushInterval = 10 * time.Second }, 8},
		"Budget":      {func(c *bridge.Config) { c.Budget.OpsPerDay = 40 }, 45},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			cfg := bridge.Default()
			tt.set(&cfg)
			inSite(t, cfg, func(t *testing.T, s *site) {
				s.synced(base)
				since := s.requests()
				for i := range 600 {
					s.write(object{"reported": object{"n": i}})
					s.wait(100 * time.Millisecond)
				}
				n := since()["update"]
				if n > tt.most || n < 5 {
					t.Errorf("%d updates for 600 changes in a minute, want at most %d", n, tt.most)
				}
				if b := s.sync.Stats().Budget; b.Ops != int64(n)+1 || name == "Budget" && (b.Used < 0.5 || b.OpsForecast < b.Ops || b.Window <= 0.5) {
					t.Errorf("budget is %+v after %d updates", b, n)
				}
				s.heal()
				s.equal(with(base, "reported", "n", 599))
			})
		})
	}
}
