package broker_test

import (
	"fmt"
	"path"
	"slices"
	"sync"
	"testing"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"edgeshadow/localshadow/access"
	"edgeshadow/localshadow/broker"
	"edgeshadow/test/shadowtest"
)

// rules are an Access by patterns of "action resource"; the client id is the
// principal.
type rules struct {
	mu      sync.Mutex
	denied  []string
	refused []string
	shown   []access.Credentials
}

func (r *rules) Authenticate(c access.Credentials) (broker.Principal, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.shown = append(r.shown, c)
	return ruled{r, c.ClientID}, nil
}

func (r *rules) Barred(_, _, name, why string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refused = append(r.refused, name+": "+why)
}

func (r *rules) deny(patterns ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.denied = patterns
}

type ruled struct {
	rules *rules
	name  string
}

func (p ruled) Name() string { return p.name }

func (p ruled) May(action, resource string) bool {
	p.rules.mu.Lock()
	defer p.rules.mu.Unlock()
	return !slices.ContainsFunc(p.rules.denied, func(pattern string) bool {
		ok, _ := path.Match(pattern, fmt.Sprint(p.name, " ", action, " ", resource))
		return ok
	})
}

func (p ruled) Refused(action, resource string) {
	p.rules.mu.Lock()
	defer p.rules.mu.Unlock()
	p.rules.refused = append(p.rules.refused, fmt.Sprint(p.name, " ", action, " ", resource))
}

func mustServeWith(tb testing.TB, a broker.Access) *broker.Broker {
	tb.Helper()
	service := shadowtest.MustOpenService(tb, nil)
	b := mustRun(tb, loopback(), service, nil, func(b *broker.Broker) { b.Access = a })
	service.Publisher = b
	return b
}

// named lets anybody do anything under the name of its user.
type named struct{ rules }

func (n *named) Authenticate(c access.Credentials) (broker.Principal, error) {
	return ruled{&n.rules, c.User}, nil
}

// A client id that was another's, of a device that is enrolled now, say, is taken
// over with an empty session: what waits is not for the new one to read. Of one
// who is connected it is not taken.
func TestAccess_AnotherPrincipal(t *testing.T) {
	b := mustServeWith(t, &named{})
	other := mustConnect(t, b, "other")
	other.mustSubscribe(t, presence+"disconnected/lamp")
	open := func(user string, code byte, present byte) *peer {
		t.Helper()
		p := mustDial(t, b)
		p.send(t, 0x10, append(text("MQTT"), v3, 0x80, 0, 60), text("lamp"), text(user))
		if got := p.expect(t, connack); got[0] != present || got[1] != code {
			t.Fatalf("CONNACK of %s: % x, want session %d, code %d", user, got, present, code)
		}
		return p
	}
	p := open("ada", 0, 0)
	p.mustSubscribe(t, v3, 1, "x", 1)
	open("bob", 5, 0).expectClosed(t)
	p.send(t, disconnect)
	other.nextEvent(t, presence+"disconnected/lamp")
	other.mustPublish(t, "x", 1, "for ada")

	p = open("bob", 0, 0)
	p.send(t, pingreq)
	p.expect(t, pingresp)
	p.send(t, disconnect)
	other.nextEvent(t, presence+"disconnected/lamp")
	open("bob", 0, 1)
}

// What a CONNECT shows reaches Access.
func TestAccess_Credentials(t *testing.T) {
	r := &rules{}
	b := mustServeWith(t, r)
	mustConnect(t, b, "lamp", func(o *mqtt.ClientOptions) {
		o.SetUsername("ada").SetPassword("secret").SetWill("bye/lamp", "gone", 1, false).SetCleanSession(false)
	})
	mustConnect(t, b, "sdk", func(o *mqtt.ClientOptions) { o.SetUsername("?SDK=x") })
	one, two := r.shown[0], r.shown[1]
	if one.User != "ada" || string(one.Password) != "secret" || one.ClientID != "lamp" || !one.Will || one.WillTopic != "bye/lamp" ||
		!one.Persistent || one.Remote == nil || one.Listener != "127.0.0.1:0" || !slices.Equal(one.Auth, []string{access.Anonymous}) {
		t.Errorf("%+v", one)
	}
	if two.User != "?SDK=x" || two.Password != nil || two.Will || two.Persistent || two.Certificate != nil {
		t.Errorf("%+v", two)
	}
}

func TestAccess_Connect(t *testing.T) {
	r := &rules{denied: []string{"evil iot:Connect *", "will iot:Publish bye", "keep iot:RetainPublish bye"}}
	b := mustServeWith(t, r)
	will := func(retained bool) func(*mqtt.ClientOptions) {
		return func(o *mqtt.ClientOptions) { o.SetWill("bye", "x", 0, retained) }
	}
	for id, option := range map[string]func(*mqtt.ClientOptions){
		"evil": func(*mqtt.ClientOptions) {}, "will": will(false), "keep": will(true),
	} {
		c := newClient(b, id, option)
		if token := c.Connect(); !token.WaitTimeout(patience) || token.Error() == nil {
			t.Errorf("%s is in", id)
		}
	}
	mustConnect(t, b, "keep2", will(true))
	if len(r.refused) != 3 {
		t.Errorf("told of %q", r.refused)
	}
}

func TestAccess_Publish(t *testing.T) {
	r := &rules{denied: []string{"pub iot:Publish secret", "pub iot:RetainPublish plain"}}
	b := mustServeWith(t, r)
	sub := mustConnect(t, b, "sub")
	sub.mustSubscribe(t, "#")
	for _, tt := range []struct {
		topic  string
		flags  byte
		closed bool
	}{{"secret", qos0, true}, {"plain", qos0 | retain, true}, {"plain", qos0, false}} {
		p, _ := mustOpen(t, b, v3, "pub", clean)
		p.send(t, tt.flags, text(tt.topic), []byte("x"))
		if tt.closed {
			p.expectClosed(t)
		} else {
			p.expectNothing(t)
		}
	}
	if m := sub.next(t); m.Topic() != "plain" {
		t.Errorf("%s was let through", m.Topic())
	}
}

func TestAccess_Subscribe(t *testing.T) {
	r := &rules{denied: []string{"s iot:Subscribe secret", "s iot:Subscribe secret/#"}}
	b := mustServeWith(t, r)
	p, _ := mustOpen(t, b, v3, "s", clean)
	for i, tt := range []struct {
		filter string
		want   byte
	}{
		{"secret", 0x80}, {"secret/#", 0x80}, {"$share/g/secret", 0x80}, {"$SHARE/g/secret/#", 0x80}, {"plain", 1}, {"$share/g/plain", 1},
	} {
		if got := p.mustSubscribe(t, v3, byte(i+1), tt.filter, 1); got != tt.want {
			t.Errorf("%s: %#x, want %#x", tt.filter, got, tt.want)
		}
	}
}

// Each delivery is asked for: a wide filter, and one that names the topic
// itself, get nothing that the policies withhold.
func TestAccess_Receive(t *testing.T) {
	r := &rules{denied: []string{"s iot:Receive secret"}}
	b := mustServeWith(t, r)
	pub := mustConnect(t, b, "pub")
	await(t, pub.Publish("secret", 1, true, "retained"))
	p, _ := mustOpen(t, b, v3, "s", clean)
	for i, filter := range []string{"#", "secret", "$share/g/secret"} {
		if got := p.mustSubscribe(t, v3, byte(i+1), filter, 1); got != 1 {
			t.Errorf("%s: %#x", filter, got)
		}
	}
	pub.mustPublish(t, "secret", 1, "live")
	pub.mustPublish(t, "plain", 0, "seen")
	p.expectMessage(t, qos0, "plain")
	p.expectNothing(t)
}

// A session that is resumed gives nothing that was withdrawn meanwhile.
func TestAccess_Withdrawn(t *testing.T) {
	r := &rules{}
	b := mustServeWith(t, r)
	p, _ := mustOpen(t, b, v3, "s", 0)
	p.mustSubscribe(t, v3, 1, "#", 1)
	p.send(t, disconnect)
	p.expectClosed(t)
	pub := mustConnect(t, b, "pub")
	pub.mustPublish(t, "secret", 1, "1")
	pub.mustPublish(t, "plain", 1, "2")
	r.deny("s iot:Receive secret")
	p, present := mustOpen(t, b, v3, "s", 0)
	if !present {
		t.Fatal("no session")
	}
	p.expectMessage(t, qos1, "plain")
	p.expectNothing(t)
	p.send(t, disconnect)
}

// Who is dismissed is gone at once, and nobody else.
func TestBroker_Dismiss(t *testing.T) {
	b := mustServeWith(t, &rules{})
	gone, _ := mustOpen(t, b, v3, "gone", clean)
	stays, _ := mustOpen(t, b, v3, "stays", clean)
	b.Dismiss("revoked", func(p broker.Principal) bool { return p.Name() == "gone" })
	gone.expectClosed(t)
	stays.expectNothing(t)
}
