package relay_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"edgeshadow/bridge/relay"
	"edgeshadow/bridge/upstream"
)

var up = relay.Config{"data": {From: "local:line/+/data", To: "cloud:site1/{1}/data"}}

func TestRelay_Up(t *testing.T) {
	c := mustCloud(t)
	zero := 0
	s := mustOpen(t, relay.Config{
		"data":   {From: "local:line/+/data", To: "cloud:site1/{1}/data"},
		"all":    {From: "local:line/#", To: "cloud:$aws/rules/lake/line/{#}", Class: "event"},
		"quick":  {From: "local:quick", To: "cloud:quick", QoS: &zero, Retain: relay.Set},
		"sealed": {From: "local:sealed/+", To: "cloud:sealed/{1}", Envelope: true},
		"down":   {From: "cloud:x/#", To: "local:y/{#}"},
	}, nil, t.TempDir(), c.addr)
	s.put(t, "line/7/data", "a")
	c.await(t, "two", atLeast(2))
	s.put(t, "quick", "b")
	c.await(t, "three", atLeast(3))
	s.put(t, "sealed/1", `{"t":1.10}`)
	s.put(t, "sealed/1", "\xff")
	got := c.await(t, "five", atLeast(5))
	var have []string
	for _, m := range got {
		have = append(have, fmt.Sprintf("%s %s %d %v", m.Topic, m.Payload, m.QoS, m.Retain))
	}
	if strings.HasPrefix(have[0], "$aws") { // two classes, in any order
		have[0], have[1] = have[1], have[0]
	}
	if diff := cmp.Diff([]string{
		"site1/7/data a 1 false",
		"$aws/rules/lake/line/7/data a 1 false",
		"quick b 0 true",
		`sealed/1 {"gateway":"gw-1","boot":7,"class":"telemetry","seq":2,"payload":{"t":1.10}} 1 false`,
		`sealed/1 {"gateway":"gw-1","boot":7,"class":"telemetry","seq":3,"payload_base64":"/w=="} 1 false`,
	}, have); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if s.Take(t.Context(), relay.Message{Topic: "other"}, func() { t.Error("acknowledged") }) {
		t.Error("a message was taken that no rule is for")
	}
	s.put(t, "line/1/2/3/4/5/6/7/8/9", "too deep for one, lost by the other rule")
	if got := s.class(t, "event").TooLarge; got != 1 {
		t.Errorf("%d messages counted that the cloud would not take, want 1", got)
	}
}

func TestRelay_Down(t *testing.T) {
	c := mustCloud(t)
	s := mustOpen(t, relay.Config{
		"commands": {From: "cloud:site1/cmd/+", To: "local:cmd/{1}"},
		"config":   {From: "cloud:site1/#", To: "local:all/{#}", Retain: relay.Set},
		"data":     up["data"],
	}, nil, t.TempDir(), c.addr)
	<-s.up
	if err := c.server.Publish("site1/cmd/7", []byte("go"), false, 1); err != nil {
		t.Fatal(err)
	}
	s.put(t, "line/1/data", "echo") // comes back as the cloud's own message
	await(t, "three messages", func() bool { return len(s.here.received()) == 3 })
	if diff := cmp.Diff([]string{"cmd/7 go 1 false", "all/cmd/7 go 1 true", "all/1/data echo 1 true"}, s.here.received()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	await(t, "acknowledgement", func() bool {
		cl, ok := c.server.Clients.Get("gw-1")
		return ok && cl.State.Inflight.Len() == 0
	})
	if got := s.Stats(); got.Received != 2 || got.Stray != 0 {
		t.Errorf("%+v", got)
	}
}

// Through cuts everything arrives, in the order of its topic.
func TestRelay_Cuts(t *testing.T) {
	c := mustCloud(t)
	link := mustLink(t, c.addr)
	s := mustOpen(t, up, nil, t.TempDir(), link.Addr())
	const topics, each = 3, 400
	spoil := []func(){link.Cut, link.Refuse, link.Mute, link.Blackhole}
	want := numbered(each)
	for i := range each {
		for n := range topics {
			s.put(t, fmt.Sprintf("line/%d/data", n), want[i])
		}
		if i%40 == 20 {
			spoil[i/40%len(spoil)]()
		}
		if i%40 == 30 {
			link.Heal()
		}
	}
	link.Heal()
	await(t, "an empty journal", func() bool { return s.class(t, "telemetry").Pending == 0 })
	for n := range topics {
		if diff := cmp.Diff(want, firsts(c.received(), fmt.Sprintf("site1/%d/data", n))); diff != "" {
			t.Errorf("topic %d (-want +got):\n%s", n, diff)
		}
	}
	st := s.class(t, "telemetry")
	if st.Taken != topics*each || st.Sent != st.Taken || st.Dropped+st.Expired+st.Refused+st.Failed+st.Damaged != 0 {
		t.Errorf("%+v", st)
	}
}

// After an outage what happens now does not wait behind the backlog, but never
// comes before an older message of its own topic.
func TestRelay_Overtaking(t *testing.T) {
	c := mustCloud(t)
	dir := t.TempDir()
	before := mustOpen(t, up, nil, dir, "")
	const old = 4000
	before.put(t, "line/old/data", numbered(old)...)
	before.stop()
	link := mustLink(t, c.addr)
	link.Refuse()
	s := mustOpen(t, up, nil, dir, link.Addr())
	s.put(t, "line/new/data", numbered(20)...)
	s.put(t, "line/old/data", "last")
	if got := s.class(t, "telemetry").Pending; got != old+21 {
		t.Errorf("%d pending, want %d", got, old+21)
	}
	link.Heal()
	<-s.up
	c.await(t, "some of the backlog", atLeast(100))
	s.put(t, "line/live/data", numbered(20)...)
	got := c.await(t, "all", atLeast(old+41))
	at := map[string]int{}
	for i, m := range got {
		at[m.Topic+" "+string(m.Payload)] = i
	}
	if i := at["site1/live/data 19"]; i > old/2 {
		t.Errorf("the live message came as number %d", i)
	}
	if diff := cmp.Diff(append(numbered(old), "last"), firsts(got, "site1/old/data")); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(numbered(20), firsts(got, "site1/live/data")); diff != "" {
		t.Error(diff)
	}
	if n := s.class(t, "telemetry").Overtook; n < 20 {
		t.Errorf("%d overtook, want at least 20", n)
	}
	// Nothing of it is sent again after a restart.
	await(t, "all acknowledged", func() bool { return s.class(t, "telemetry").Pending == 0 })
	s.stop()
	again := mustOpen(t, up, nil, dir, link.Addr())
	<-again.up
	again.put(t, "line/x/data", "after")
	c.await(t, "the message after", func(got []upstream.Message) bool { return lines(got[len(got)-1:])[0] == "site1/x/data after" })
	if n := len(c.received()); n != old+42 {
		t.Errorf("%d messages in all, want %d", n, old+42)
	}
}

// Rules change while messages wait; a class that is not named any more is sent
// to its end.
func TestRelay_Prepare(t *testing.T) {
	c := mustCloud(t)
	link := mustLink(t, c.addr)
	link.Refuse()
	s := mustOpen(t, relay.Config{"a": {From: "local:a", To: "cloud:a", Class: "event"}}, nil, t.TempDir(), link.Addr())
	s.put(t, "a", "1")
	if _, _, err := s.Prepare(relay.Config{"a": {From: "local:a", To: "local:a"}}, nil); err == nil {
		t.Error("a bad rule was taken")
	}
	_, discard, err := s.Prepare(relay.Config{"b": {From: "local:b", To: "cloud:b", Class: "state"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	discard()
	commit, _, err := s.Prepare(relay.Config{"b": {From: "local:b", To: "cloud:b"}, "c": {From: "cloud:c", To: "local:c"}}, relay.Classes{"telemetry": {Size: 2 << 20}})
	if err != nil {
		t.Fatal(err)
	}
	commit()
	if s.Take(t.Context(), relay.Message{Topic: "a"}, func() {}) {
		t.Error("the old rule is still there")
	}
	s.put(t, "b", "2")
	link.Heal()
	got := lines(c.await(t, "both", atLeast(2)))
	if diff := cmp.Diff(map[string]bool{"a 1": true, "b 2": true}, map[string]bool{got[0]: true, got[1]: true}); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"c"}, s.Filters()); diff != "" {
		t.Error(diff)
	}
	if limit := s.class(t, "telemetry").Limit; limit != 2<<20 {
		t.Errorf("limit %d", limit)
	}
}
