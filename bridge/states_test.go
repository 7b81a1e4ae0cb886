package bridge_test

import (
	"strings"
	"testing"
	"time"

	"edgeshadow/bridge"
	"edgeshadow/test/cloudtest"
)

// The states of SYNC d5, and how the shadow of lamp comes into each. Both sides
// had shared base before, except in U and 0.
var base = object{"desired": object{"d": 1}, "reported": object{"r": 1}}

var states = []struct {
	name  string
	word  string // that status says
	enter func(s *site)
}{
	{"U", "unknown", func(s *site) {
		s.app(base)
		s.write(object{"reported": object{"r": 1}})
	}},
	{"C", "clean", func(s *site) { s.synced(base) }},
	{"D", "dirty", func(s *site) {
		s.synced(base)
		s.link.Cut()
		s.write(object{"reported": object{"own": 1}})
	}},
	{"P", "pushing", func(s *site) {
		s.synced(base)
		s.link.Turn(cloudtest.Knobs{DropRequest: cloudtest.Always("/update")})
		s.write(object{"reported": object{"own": 1}})
	}},
	{"G", "asking", func(s *site) {
		s.synced(base)
		s.link.Turn(cloudtest.Knobs{DropRequest: cloudtest.Always("/get")})
		s.link.KillSession()
		s.link.Connect(false)
		s.wait(6 * time.Second)
	}},
	{"X", "pushing", func(s *site) {
		s.synced(base)
		s.link.Turn(cloudtest.Knobs{DropRequest: cloudtest.Always("/delete")})
		s.remove()
	}},
	{"A", "ambiguous", func(s *site) {
		s.synced(base)
		s.link.Turn(cloudtest.Knobs{LoseAnswer: cloudtest.Always("/update/accepted")})
		s.write(object{"reported": object{"own": 1}})
		s.wait(time.Second)
		s.link.Turn(cloudtest.Knobs{DropRequest: cloudtest.Always("/get")})
		s.wait(9 * time.Second)
		s.wait(5 * time.Millisecond)
	}},
	{"N", "gap", func(s *site) {
		s.synced(base)
		s.link.Turn(cloudtest.Knobs{LoseAnswer: cloudtest.Always("/update/accepted")})
		s.app(object{"desired": object{"lost": 1}})
		s.link.Turn(cloudtest.Knobs{})
		s.app(object{"desired": object{"early": 1}})
	}},
	{"H", "waiting", func(s *site) {
		s.synced(base)
		s.link.Turn(cloudtest.Knobs{Reject: cloudtest.Code(429, cloudtest.Times(1, "/update"))})
		s.write(object{"reported": object{"own": 1}})
	}},
	{"B", "oversize", func(s *site) {
		s.synced(base)
		s.link.Cut()
		s.write(object{"reported": object{"here": strings.Repeat("x", 5000)}})
		s.app(object{"desired": object{"there": strings.Repeat("y", 5000)}})
		s.link.Connect(true)
		s.wait(2 * time.Second)
	}},
	{"T", "dirty", func(s *site) {
		s.synced(base)
		s.link.Cut()
		s.remove()
	}},
	{"0", "absent", func(s *site) {
		s.link.Connect(false)
		s.wait(time.Second)
	}},
}

// extra is what a state adds to base on the side that had it.
var extra = map[string]object{
	"U": {"desired": object{"d": 1}, "reported": object{"r": 1}},
	"D": {"desired": object{"d": 1}, "reported": object{"r": 1, "own": 1}},
	"P": {"desired": object{"d": 1}, "reported": object{"r": 1, "own": 1}},
	"A": {"desired": object{"d": 1}, "reported": object{"r": 1, "own": 1}},
	"H": {"desired": object{"d": 1}, "reported": object{"r": 1, "own": 1}},
	"N": {"desired": object{"d": 1, "lost": 1, "early": 1}, "reported": object{"r": 1}},
	"X": nil, "T": nil, "0": nil,
}

// settledAs is the document that both sides have in the end when nothing more happens.
func settledAs(state string) object {
	if want, ok := extra[state]; ok {
		return want
	}
	return base
}

func with(o object, section, key string, value any) object {
	out := object{}
	for name, members := range o {
		copied := object{}
		for k, v := range members.(object) {
			copied[k] = v
		}
		out[name] = copied
	}
	if out[section] == nil {
		out[section] = object{}
	}
	out[section].(object)[key] = value
	return out
}

// rows are the events of SYNC d5. Want is what both sides are in the end.
var rows = []struct {
	name   string
	happen func(s *site)
	want   func(state string) object
	not    string // states in which it can't happen
}{
	{"LocalWrite", func(s *site) { s.write(object{"reported": object{"new": 2}}) },
		func(state string) object { return with(settledAs(state), "reported", "new", 2) }, ""},
	{"LocalDelete", func(s *site) { s.remove() },
		func(state string) object {
			switch state {
			case "N": // the lost edits of desired come to light, and stay
				return object{"desired": object{"d": 1, "lost": 1, "early": 1}}
			case "U": // nobody knows what was shared: what the cloud has is new here
				return base
			}
			return nil
		}, "XT0"},
	{"ForeignNext", func(s *site) { s.app(object{"desired": object{"app": 3}}) },
		func(state string) object {
			if state == "X" || state == "T" || state == "0" {
				if state == "0" {
					return object{"desired": object{"app": 3}}
				}
				return object{"desired": object{"d": 1, "app": 3}} // a command that nobody executed stays
			}
			return with(settledAs(state), "desired", "app", 3)
		}, ""},
	{"ForeignBeyondAGap", func(s *site) {
		s.link.Turn(cloudtest.Knobs{LoseAnswer: cloudtest.Times(1, "/update/accepted")})
		s.app(object{"desired": object{"unseen": 4}})
		s.app(object{"desired": object{"app": 3}})
	},
		func(state string) object {
			switch state {
			case "0":
				return object{"desired": object{"app": 3, "unseen": 4}}
			case "X", "T":
				return object{"desired": object{"d": 1, "app": 3, "unseen": 4}}
			}
			return with(with(settledAs(state), "desired", "app", 3), "desired", "unseen", 4)
		}, ""},
	{"ForeignAgain", func(s *site) {
		s.link.Turn(cloudtest.Knobs{Duplicate: cloudtest.Always("/accepted")})
		s.app(object{"desired": object{"app": 3}})
	},
		func(state string) object {
			switch state {
			case "0":
				return object{"desired": object{"app": 3}}
			case "X", "T":
				return object{"desired": object{"d": 1, "app": 3}}
			}
			return with(settledAs(state), "desired", "app", 3)
		}, ""},
	{"CounterWentBack", func(s *site) {
		s.cloud.Delete("lamp", "")
		s.cloud.Forget("lamp", "")
		s.app(object{"desired": object{"app": 3}})
	},
		func(state string) object {
			switch state {
			case "D", "P", "A", "H":
				return object{"desired": object{"app": 3}, "reported": object{"r": 1, "own": 1}}
			case "U":
				return object{"desired": object{"app": 3}, "reported": object{"r": 1}}
			}
			return object{"desired": object{"app": 3}}
		}, "A"},
	{"DeleteEvent", func(s *site) { s.cloud.Delete("lamp", "") },
		func(state string) object {
			switch state {
			case "U":
				return object{"reported": object{"r": 1}}
			case "D", "P", "H": // the device's state stays true whatever the cloud deletes
				return object{"reported": object{"r": 1, "own": 1}}
			}
			return nil
		}, "A0"},
	{"LinkUpKept", func(s *site) {
		s.link.Cut()
		s.link.Connect(true)
	}, settledAs, ""},
	{"LinkUpLost", func(s *site) {
		s.link.KillSession()
		s.link.Connect(false)
	}, settledAs, ""},
	{"Restart", func(s *site) {
		s.restart()
		s.link.Connect(false)
	}, settledAs, ""},
	{"Timer", func(s *site) { s.wait(12 * time.Second) }, settledAs, ""},
}

// TestStates goes through SYNC d5: each event in each state, with what both sides
// are in the end. I12: for a restart that is the same as for a lost link.
func TestStates(t *testing.T) {
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			for _, st := range states {
				if strings.Contains(row.not, st.name) || st.name == "B" && row.name != "Timer" && row.name != "LocalDelete" {
					continue
				}
				t.Run(st.name, func(t *testing.T) {
					inSite(t, bridge.Default(), func(t *testing.T, s *site) {
						st.enter(s)
						s.wait(0)
						if got := s.state(); got != st.word {
							t.Fatalf("entered as %s, want %s", got, st.word)
						}
						row.happen(s)
						s.wait(0)
						if st.name == "B" {
							if row.name == "Timer" && s.state() != "oversize" {
								t.Errorf("held shadow is %s", s.state())
							}
							return
						}
						s.heal()
						s.equal(row.want(st.name))
					})
				})
			}
		})
	}
}
