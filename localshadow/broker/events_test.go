package broker_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"edgeshadow/localshadow/access"
	"edgeshadow/localshadow/broker"
	"edgeshadow/test/shadowtest"
)

const presence = "$aws/events/presence/"

// nextEvent is the next event on a topic; others before it are skipped.
func (c *client) nextEvent(tb testing.TB, topic string) map[string]any {
	tb.Helper()
	var e map[string]any
	if err := json.Unmarshal([]byte(c.nextOn(tb, topic)), &e); err != nil {
		tb.Fatal(err)
	}
	return e
}

// The members of SHADOW 17, and what the events of one connection share.
func TestEvents_Members(t *testing.T) {
	ca := MustOpenCA(t)
	service := shadowtest.MustOpenService(t, nil)
	b := mustRun(t, broker.Config{Listeners: []broker.Listener{
		{Address: "127.0.0.1:0"},
		{Address: "127.0.0.1:0", TLS: &broker.TLS{Auto: true}, Auth: all},
	}}, service, ca, func(*broker.Broker) {})
	watch := mustConnect(t, b, "watch")
	watch.mustSubscribe(t, "$aws/events/#")
	c := mustConnect(t, b, "a/lamp", at("ssl://"+b.Addrs()[1].String(), mustEnroll(t, ca, "lamp")))
	connected := watch.nextEvent(t, presence+"connected/a/lamp")
	c.mustSubscribe(t, "x")
	subscribed := watch.nextEvent(t, "$aws/events/subscriptions/subscribed/a/lamp")
	await(t, c.Unsubscribe("x", "never"))
	unsubscribed := watch.nextEvent(t, "$aws/events/subscriptions/unsubscribed/a/lamp")
	c.Disconnect(50)
	disconnected := watch.nextEvent(t, presence+"disconnected/a/lamp")

	principal, _ := connected["principalIdentifier"].(string)
	if len(principal) != 64 || strings.Trim(principal, "0123456789abcdef") != "" {
		t.Errorf("principal %q is no certificate id", principal)
	}
	if at, _ := connected["timestamp"].(float64); time.UnixMilli(int64(at)).Year() < 2020 {
		t.Errorf("timestamp %v is no Unix milliseconds", connected["timestamp"])
	}
	first := maps.Clone(connected)
	for _, e := range []map[string]any{connected, subscribed, unsubscribed, disconnected} {
		for _, same := range []string{"clientId", "sessionIdentifier", "principalIdentifier"} {
			if e[same] != first[same] || e[same] == "" {
				t.Errorf("%v: %s is %v, want %v", e["eventType"], same, e[same], first[same])
			}
			delete(e, same)
		}
		delete(e, "timestamp")
	}
	version := connected["versionNumber"]
	for _, tt := range []struct{ got, want map[string]any }{
		{connected, map[string]any{"eventType": "connected", "ipAddress": "127.0.0.1", "versionNumber": version}},
		{subscribed, map[string]any{"eventType": "subscribed", "topics": []any{"x"}}},
		{unsubscribed, map[string]any{"eventType": "unsubscribed", "topics": []any{"x"}}},
		{disconnected, map[string]any{
			"eventType": "disconnected", "versionNumber": version,
			"clientInitiatedDisconnect": true, "disconnectReason": "CLIENT_INITIATED_DISCONNECT",
		}},
	} {
		if diff := cmp.Diff(tt.want, tt.got); diff != "" {
			t.Errorf("event (-want +got):\n%s", diff)
		}
	}
	mustConnect(t, b, "a/lamp")
	if again := watch.nextEvent(t, presence+"connected/a/lamp"); again["versionNumber"].(float64) <= version.(float64) {
		t.Errorf("version %v after %v", again["versionNumber"], version)
	} else if again["principalIdentifier"] != access.Anonymous {
		t.Errorf("principal %v", again["principalIdentifier"])
	}
}

func TestEvents_Reasons(t *testing.T) {
	r := &rules{denied: []string{"denied iot:Publish x", "refused iot:Connect refused"}}
	b := mustServeWith(t, r)
	watch := mustConnect(t, b, "watch")
	watch.mustSubscribe(t, "$aws/events/#")
	for _, tt := range []struct {
		id, want string
		act      func(*peer)
	}{
		{"goodbye", "CLIENT_INITIATED_DISCONNECT", func(p *peer) { p.send(t, disconnect) }},
		{"lost", "CONNECTION_LOST", func(p *peer) { _ = p.Close() }},
		{"twice", "DUPLICATE_CLIENTID", func(*peer) { mustOpen(t, b, v3, "twice", clean) }},
		{"garbage", "CLIENT_ERROR", func(p *peer) { p.send(t, 0xf6, []byte("?")) }},
		{"wrong", "CLIENT_ERROR", func(p *peer) { p.send(t, qos0, text("a/#"), []byte("x")) }},
		{"denied", "AUTH_ERROR", func(p *peer) { p.send(t, qos0, text("x"), []byte("x")) }},
		{"evicted", "API_INITIATED_DISCONNECT", func(*peer) {
			if !b.Evict("evicted", false, false) {
				t.Error("it is not connected")
			}
		}},
		{"quiet", "MQTT_KEEP_ALIVE_TIMEOUT", func(*peer) {}},
	} {
		t.Run(tt.id, func(t *testing.T) {
			p := mustDial(t, b)
			body := connect(v3, tt.id, clean)
			if tt.id == "quiet" {
				body[9] = 1 // second
			}
			p.send(t, 0x10, body)
			p.expect(t, connack)
			connected := watch.nextEvent(t, presence+"connected/"+tt.id)
			tt.act(p)
			e := watch.nextEvent(t, presence+"disconnected/"+tt.id)
			if e["disconnectReason"] != tt.want || e["clientInitiatedDisconnect"] != (tt.want == "CLIENT_INITIATED_DISCONNECT") {
				t.Errorf("%v, initiated %v, want %s", e["disconnectReason"], e["clientInitiatedDisconnect"], tt.want)
			}
			if e["versionNumber"] != connected["versionNumber"] || e["sessionIdentifier"] != connected["sessionIdentifier"] {
				t.Errorf("%v is not the end of %v", e, connected)
			}
		})
	}
	p := mustDial(t, b)
	p.send(t, 0x10, connect(v3, "refused", clean))
	p.expect(t, connack)
	e := watch.nextEvent(t, presence+"connect_failed/refused")
	if e["eventType"] != "connect_failed" || e["connectFailureReason"] != "AUTHORIZATION_FAILED" || e["ipAddress"] != "127.0.0.1" {
		t.Errorf("%v", e)
	}
}

// An event of subscriptions has the topics that it is about (SHADOW 17): where
// every filter was refused, and where none was held, there is none.
func TestEvents_NothingGranted(t *testing.T) {
	b, _ := MustServe(t)
	watch := mustConnect(t, b, "watch")
	watch.mustSubscribe(t, "$aws/events/subscriptions/#")
	p, _ := mustOpen(t, b, v3, "lamp", clean)
	if code := p.mustSubscribe(t, v3, 1, "$aws/lamp", 1); code != 0x80 {
		t.Fatalf("a filter on a reserved topic got %#x, want 0x80", code)
	}
	p.send(t, unsubscribe, []byte{0, 2}, text("never"))
	p.expect(t, unsuback)
	p.mustSubscribe(t, v3, 3, "x", 1)
	for {
		m := watch.next(t)
		if strings.HasSuffix(m.Topic(), "/watch") {
			continue
		}
		if !strings.HasSuffix(m.Topic(), "/subscribed/lamp") || !strings.Contains(string(m.Payload()), `"topics":["x"]`) {
			t.Errorf("first event: %s %s", m.Topic(), m.Payload())
		}
		return
	}
}

// An id that would be a wildcard in the topic makes no events; nobody can
// publish one.
func TestEvents_None(t *testing.T) {
	b, _ := MustServe(t)
	watch := mustConnect(t, b, "watch")
	watch.mustSubscribe(t, "$aws/events/#")
	for i, id := range []string{"a+b", "#"} {
		c := mustConnect(t, b, id)
		c.mustSubscribe(t, fmt.Sprint(i))
		c.Disconnect(50)
	}
	mustConnect(t, b, "plain")
	for {
		m := watch.next(t)
		if strings.Contains(string(m.Payload()), `"plain"`) {
			break
		}
		if !strings.Contains(string(m.Payload()), `"watch"`) {
			t.Errorf("%s %s", m.Topic(), m.Payload())
		}
	}
	p, _ := mustOpen(t, b, v3, "liar", clean)
	p.send(t, qos0, text(presence+"connected/plain"), []byte("{}"))
	p.expectClosed(t)
}
