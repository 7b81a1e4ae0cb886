package gateway_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"edgeshadow/bridge/upstream"
	"edgeshadow/test/linktest"
)

// ear is a client that keeps what it hears.
type ear struct {
	*upstream.Client
	up    chan struct{}
	once  sync.Once
	heard chan string
}

func (e *ear) Up(bool)    { e.once.Do(func() { close(e.up) }) }
func (e *ear) Down(error) {}
func (e *ear) Message(topic string, payload []byte, ack func()) {
	e.heard <- topic + " " + string(payload)
	ack()
}

func mustHear(tb testing.TB, address, id, filter string) *ear {
	tb.Helper()
	e := &ear{up: make(chan struct{}), heard: make(chan string, 64)}
	e.Client = &upstream.Client{
		Config: upstream.Config{Endpoint: "mqtt://" + address}, ClientID: id, Filters: []string{filter}, Handler: e,
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wait sync.WaitGroup
	wait.Go(func() { _ = e.Run(ctx) })
	tb.Cleanup(func() {
		cancel()
		wait.Wait()
	})
	<-e.up
	return e
}

func (e *ear) next(tb testing.TB) string {
	tb.Helper()
	select {
	case m := <-e.heard:
		return m
	case <-time.After(30 * time.Second):
		tb.Fatal("nothing heard")
		return ""
	}
}

func (e *ear) say(tb testing.TB, topic, payload string) {
	tb.Helper()
	if err := e.Publish(tb.Context(), topic, []byte(payload)); err != nil {
		tb.Fatal(err)
	}
}

const relaying = `gateway: {thing: gw}
broker: {listeners: [{address: "127.0.0.1:0"}]}
cloud: {endpoint: "mqtt://%s"}
relay:
  data:     {from: "local:line/+/data", to: "cloud:%s/{1}/data", class: event}
  commands: {from: "cloud:site1/cmd/+", to: "local:cmd/{1}"}
`

// TestGateway_Relay: a client here and an application in the cloud hear each
// other by rules, through an outage and a reload; shadows have their own way.
func TestGateway_Relay(t *testing.T) {
	dir := t.TempDir()
	there := MustRun(t, dir, MustLoad(t, dir, `broker: {listeners: [{address: "127.0.0.1:0"}]}`))
	cable := linktest.New(there.Addrs()[0].String())
	if err := cable.Listen("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cable.Close() })
	dir = t.TempDir()
	here := MustRun(t, dir, MustLoad(t, dir, fmt.Sprintf(relaying, cable.Addr(), "site1")))
	app := mustHear(t, there.Addrs()[0].String(), "app", "+/+/data")
	device := mustHear(t, here.Addrs()[0].String(), "device", "cmd/#")

	device.say(t, "line/7/data", "a")
	if got := app.next(t); got != "site1/7/data a" {
		t.Errorf("the app heard %q", got)
	}
	await(t, "the uplink", func() bool { return here.up(t) })
	app.say(t, "site1/cmd/lamp", "on")
	if got := device.next(t); got != "cmd/lamp on" {
		t.Errorf("the device heard %q", got)
	}

	await(t, "the acknowledgement of what was heard", func() bool {
		s, err := here.Client.Status(t.Context())
		return err == nil && s.Relay != nil && len(s.Relay.Classes) == 1 && s.Relay.Classes[0].Pending == 0
	})
	cable.Refuse()
	await(t, "an outage", func() bool { return !here.up(t) })
	device.say(t, "line/7/data", "b")
	device.say(t, "line/8/data", "c")
	s, err := here.Client.Status(t.Context())
	if err != nil || s.Relay == nil || len(s.Relay.Classes) != 1 || s.Relay.Classes[0].Pending != 2 {
		t.Errorf("in the outage: %+v, %v", s.Relay, err)
	}
	mustWriteConfig(t, dir, fmt.Sprintf(relaying, cable.Addr(), "site2"))
	if _, err := here.Gateway.Reload(); err != nil {
		t.Fatal(err)
	}
	device.say(t, "line/7/data", "d")
	cable.Heal()
	for _, want := range []string{"site1/7/data b", "site1/8/data c", "site2/7/data d"} {
		if got := app.next(t); got != want {
			t.Errorf("after the outage the app heard %q, want %q", got, want)
		}
	}
}
