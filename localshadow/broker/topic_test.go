package broker_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"edgeshadow/localshadow/broker"
	"edgeshadow/localshadow/shadow"
	"edgeshadow/test/shadowtest"
)

// A PUBLISH to a reserved topic that is no shadow request ends the connection,
// and RETAIN on any reserved topic does (SHADOW 16).
func TestBroker_PublishReserved(t *testing.T) {
	b, service := MustServe(t)
	other := mustConnect(t, b, "other")
	other.mustSubscribe(t, lamp+"/#", "#")
	for _, row := range []struct {
		name, topic string
		flags       byte // of the fixed header
	}{
		{"an answer", lamp + "/update/accepted", qos0},
		{"a retained answer", lamp + "/get/accepted", qos1 | retain},
		{"an unknown family", "$aws/things/lamp/other", qos1},
		{"jobs", "$aws/things/lamp/jobs/get", qos1},
		{"events", "$aws/events/presence/connected/x", qos0},
		{"rules", "$aws/rules/r/x", qos1},
		{"statistics", "$SYS/x", qos1},
		{"a dollar", "$other", qos2},
		{"an invalid thing name", "$aws/things/la mp/shadow/get", qos1},
		{"an invalid shadow name", lamp + "/name/a.b/update", qos1},
		{"an empty shadow name", lamp + "/name//update", qos1},
		{"a retained request", lamp + "/update", qos1 | retain},
		{"a retained request of QoS 0", lamp + "/update", qos0 | retain},
	} {
		for _, version := range []byte{v3, v5} {
			t.Run(row.name, func(t *testing.T) {
				before := b.Stats().Violations
				p, _ := mustOpen(t, b, version, "lamp", clean)
				var rest []byte
				if row.flags&0x06 != 0 {
					rest = []byte{0, 1}
				}
				rest = append(append(rest, make([]byte, version-v3)...), `{"state":{"reported":{"x":1}}}`...)
				p.send(t, row.flags, text(row.topic), rest)
				if version == v5 {
					if body := p.expect(t, disconnect); body[0] != 0x87 {
						t.Errorf("DISCONNECT %#x, want 0x87", body[0])
					}
				}
				p.expectClosed(t)
				if n := b.Stats().Violations - before; n != 1 {
					t.Errorf("%d violations counted", n)
				}
			})
		}
	}
	other.mustPublish(t, "dt/end", 1, "")
	if m := other.next(t); m.Topic() != "dt/end" {
		t.Errorf("a refused message on %s", m.Topic())
	}
	if d, err := service.Document(shadow.ID{Thing: "lamp"}); d != nil || err != nil {
		t.Errorf("document %v, %v", d, err)
	}
}

// A topic with wildcards [MQTT-3.3.2-2], without a character [MQTT-4.7.3-1] or
// of absurd depth ends the connection.
func TestBroker_PublishInvalid(t *testing.T) {
	b, _ := MustServe(t)
	for _, topic := range []string{"a/+", "a/#", "#", "", strings.Repeat("/", 60000)} {
		p, _ := mustOpen(t, b, v3, "c", clean)
		p.send(t, qos1, text(topic), []byte{0, 1})
		p.expectClosed(t)
	}
}

func TestBroker_Subscribe(t *testing.T) {
	b, _ := MustServe(t)
	const refused, invalid = 0x87, 0x8f
	got, want := map[string]byte{}, map[string]byte{
		lamp + "/get/+":                            1,
		lamp + "/get/#":                            1,
		lamp + "/#":                                1,
		lamp + "/update":                           1,
		lamp + "/delete":                           1,
		lamp + "/update/delta":                     1,
		lamp + "/name/$x/update/documents":         1,
		lamp + "/name/+/update/accepted":           1,
		"$aws/things/+/shadow/+/accepted":          1,
		"$aws/things/#":                            1,
		"$aws/events/#":                            1,
		"$aws/events/presence/+/lamp":              1,
		"$aws/things/lamp/jobs/notify":             1,
		"$aws/things/lamp/jobs/+/get/accepted":     1,
		"$aws/things/lamp/jobs/$next/get/accepted": 1,
		"$aws/things/lamp/tunnels/notify":          1,
		"$SYS/#":                                   1,
		"$share/g/dt/#":                            1,
		"$share/g/" + lamp + "/update/delta":       1,
		"#":                                        1,
		"+/things/#":                               1,
		"/":                                        1,
		"$aws/things/lamp/jobs/get":                refused,
		"$aws/things/lamp/jobs/j1/update":          refused,
		"$aws/things/lamp/defender/metrics/json":   refused,
		"$aws/rules/r/x":                           refused,
		"$aws/#":                                   refused,
		"$aws/+/lamp/shadow/get":                   refused,
		"$aws":                                     refused,
		"$other/x":                                 refused,
		"$share/g/$aws/rules/#":                    refused,
		"$SHARE/g/$aws/rules/#":                    refused,
		lamp + "/delta":                            refused,
		lamp + "/get/documents":                    refused,
		lamp + "/name/a.b/get/accepted":            refused,
		"$aws/things/a b/shadow/get":               refused,
		"a+":                                       invalid,
		"a#":                                       invalid,
		"a/+b/c":                                   invalid,
		"a/#/b":                                    invalid,
		"":                                         invalid,
		"$share//x":                                invalid,
		"$share/g":                                 invalid,
		"$share/g/":                                invalid,
		"$share/+/x":                               invalid,
		strings.Repeat("/", 60000):                 invalid,
	}
	for filter, code := range want {
		p3, _ := mustOpen(t, b, v3, "c3", clean)
		p5, _ := mustOpen(t, b, v5, "c5", clean)
		got[filter] = p5.mustSubscribe(t, v5, 1, filter, 1)
		if code > 2 {
			code = 0x80 // [MQTT-3.9.3-2]
		}
		if old := p3.mustSubscribe(t, v3, 1, filter, 1); old != code {
			t.Errorf("%.60s: MQTT 3.1.1 got %#x, want %#x", filter, old, code)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("codes (-want +got):\n%s", diff)
	}
	if n := b.Stats().Violations; n != 0 {
		t.Errorf("%d violations: a refused SUBSCRIBE leaves the connection up", n)
	}
}

// Filters that begin with a wildcard do not match topics that begin with "$"
// [MQTT-4.7.2-1], in shared subscriptions neither.
func TestBroker_WildcardsDoNotSeeReserved(t *testing.T) {
	b, _ := MustServe(t)
	c := mustConnect(t, b, "spy")
	c.mustSubscribe(t, "#", "+/things/#", "$share/g/#", "$share/h/+/things/#")
	device := mustConnect(t, b, "lamp")
	device.mustPublish(t, lamp+"/update", 1, `{"state":{"reported":{"on":true}}}`)
	device.mustPublish(t, "dt/end", 1, "end")
	if m := c.next(t); m.Topic() != "dt/end" {
		t.Errorf("saw %s", m.Topic())
	}
}

// FuzzTopics: whatever a client asks for, it may publish to no reserved topic
// but requests, and a filter that matches what may be seen is not refused.
func FuzzTopics(f *testing.F) {
	for _, seed := range [][2]string{
		{lamp + "/update", lamp + "/#"},
		{lamp + "/name/x/get/accepted", lamp + "/name/+/get/+"},
		{"$aws/events/presence/connected/x", "$share/g/$aws/events/#"},
		{"$aws/rules/x", "$aws/+/x"},
		{"dt/lamp", "#"},
		{"a/b", "$share/g/a/+"},
		{"$SYS/x", "+/#"},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, topic, filter string) {
		if broker.MayPublish(topic) && strings.HasPrefix(topic, "$") {
			_, op, ok := shadow.ParseTopic(topic)
			if !ok || op != "get" && op != "update" && op != "delete" {
				t.Errorf("may publish to %q", topic)
			}
			if !broker.MaySubscribe(topic) {
				t.Errorf("may publish to %q but not see it", topic)
			}
		}
		if !broker.ValidFilter(filter) || !broker.ValidTopic(topic) || strings.ContainsAny(topic, "|:") {
			return
		}
		if !shadowtest.Match(filter, topic) || !broker.MaySubscribe(topic) || !strings.HasPrefix(topic, "$") {
			return
		}
		wide := strings.HasPrefix(filter, "$aws/#") || strings.HasPrefix(filter, "$aws/+")
		if got, want := broker.MaySubscribe(filter), !wide; got != want && broker.SeesReserved(filter) {
			t.Errorf("filter %q, which matches %q: allowed %v, want %v", filter, topic, got, want)
		}
	})
}
