package bridge_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"edgeshadow/bridge"
	"edgeshadow/test/cloudtest"
)

// TestAnswers goes through the rows of SYNC d5 that answer the own request: each
// answer in each state that can have it (P an update, G a get, X a delete).
func TestAnswers(t *testing.T) {
	requests := map[string]struct {
		topic  string
		ask    func(s *site)
		answer object // what both sides are after any answer but a 404
		gone   object // after a 404
	}{
		"P": {"/update", func(s *site) { s.write(object{"reported": object{"own": 1}}) },
			object{"desired": object{"d": 1}, "reported": object{"r": 1, "own": 1}}, nil},
		"G": {"/get", func(s *site) { s.link.KillSession(); s.link.Connect(false) }, base, nil},
		"X": {"/delete", func(s *site) { s.remove() }, nil, nil},
	}
	refuse := func(code, n int) func(topic string) cloudtest.Knobs {
		return func(topic string) cloudtest.Knobs {
			return cloudtest.Knobs{Reject: cloudtest.Code(code, cloudtest.Times(n, topic))}
		}
	}
	rows := map[string]struct {
		states string
		knobs  func(topic string) cloudtest.Knobs
		word   string // that status says while the answer stands; empty: any
	}{
		"OwnAccepted": {"PX", nil, ""},
		"GetDocument": {"G", nil, "clean"},
		"Own409":      {"P", refuse(409, 1), ""},
		"Own409Often": {"P", refuse(409, 4), ""},
		"Own429":      {"PGX", refuse(429, 2), ""},
		"Own500":      {"PGX", refuse(500, 2), ""},
		"Own503":      {"PGX", refuse(503, 2), ""},
		"NoAnswer": {"PGX", func(topic string) cloudtest.Knobs {
			return cloudtest.Knobs{LoseAnswer: cloudtest.Times(1, topic)}
		}, ""},
		"Own400": {"P", refuse(400, 1), "rejected"},
		"Own413": {"P", refuse(413, 1), "rejected"},
		"Own401": {"PGX", refuse(401, 3), "forbidden"},
		"Own403": {"PGX", refuse(403, 3), "forbidden"},
		"Own404": {"GX", nil, ""}, // somebody else deleted it, and nobody told
	}
	for name, row := range rows {
		for _, state := range strings.Split(row.states, "") {
			t.Run(fmt.Sprint(name, "/", state), func(t *testing.T) {
				inSite(t, bridge.Default(), func(t *testing.T, s *site) {
					r := requests[state]
					s.synced(base)
					var k cloudtest.Knobs
					switch {
					case row.knobs != nil:
						k = row.knobs(r.topic)
					case name == "Own404":
						gone := false
						k.Before = func(topic string) {
							if strings.HasSuffix(topic, r.topic) && !gone {
								gone = true
								s.cloud.Delete("lamp", "")
							}
						}
						k.LoseAnswer = cloudtest.Times(1, "/delete/accepted")
					}
					s.link.Turn(k)
					r.ask(s)
					s.wait(15 * time.Second)
					if got := s.state(); row.word != "" && got != row.word {
						t.Errorf("the shadow is %s, want %s", got, row.word)
					}
					want := r.answer
					switch row.word {
					case "rejected": // until either side changes
						s.app(object{"desired": object{"d": 2}})
						want = with(want, "desired", "d", 2)
					case "forbidden":
						s.wait(time.Hour) // the probes
					}
					if name == "Own404" {
						want = r.gone
					}
					s.heal()
					s.equal(want)
					if name == "NoAnswer" && state == "X" {
						s.expectLost("") // what the delete met nobody knows
					} else {
						s.expectLost()
					}
				})
			})
		}
	}
}

// I11, I13: the echo of an own write changes nothing here, however often it
// comes, and a set of changes is applied in the cloud once.
func TestAnswers_Echo(t *testing.T) {
	inSite(t, bridge.Default(), func(t *testing.T, s *site) {
		s.synced(base)
		s.link.Turn(cloudtest.Knobs{Duplicate: cloudtest.Always("/accepted")})
		for i := range 5 {
			s.write(object{"reported": object{"own": i}})
		}
		before, err := s.service.Document(lamp)
		if err != nil {
			t.Fatal(err)
		}
		_, there := s.cloud.State("lamp", "")
		s.wait(time.Minute)
		s.equal(object{"desired": object{"d": 1}, "reported": object{"r": 1, "own": 4}})
		if after, err := s.service.Document(lamp); err != nil || after.Version != before.Version {
			t.Errorf("the local version went from %d to %+v, %v", before.Version, after, err)
		}
		// The first write may have left before the last one was made.
		if _, version := s.cloud.State("lamp", ""); version > there+2 {
			t.Errorf("the cloud's version went from %d to %d", there, version)
		}
	})
}
