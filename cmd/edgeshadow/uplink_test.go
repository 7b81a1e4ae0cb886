package main

import (
	"encoding/json"
	"fmt"
	"net"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"github.com/eclipse/paho.mqtt.golang/packets"

	"edgeshadow/test/clocktest"
	"edgeshadow/test/cloudtest"
)

// TestRun_ClockJumpsWithCloud moves the daemon's wall clock while both sides are edited,
// F-28: no decision depends on it, and nothing is asked for it.
func TestRun_ClockJumpsWithCloud(t *testing.T) {
	c := mustDoom(t)
	c.app(1)
	var clock *clocktest.Clock
	c.d = mustRun(t, c.dir, `{address: "127.0.0.1:0"}`, c.cloud(), func(cmd *exec.Cmd) {
		clock = clocktest.MustStart(t, cmd, time.Until(time.Unix(0, 0)).Truncate(time.Second)+time.Hour)
	})
	c.write(1)
	c.equal()
	var gets atomic.Int64
	c.broker.Watch(func(at cloudtest.Moment, topic string, _ []byte) bool {
		if at == cloudtest.Arrived && strings.HasSuffix(topic, "/lamp/shadow/get") {
			gets.Add(1)
		}
		return true
	})
	const decade = 10 * 365 * 24 * time.Hour
	for n, by := range []time.Duration{decade, 0, -decade, -3 * time.Hour, 49 * time.Hour} {
		if err := clock.Shift(by); err != nil {
			t.Fatal(err)
		}
		c.write(2*n + 2)
		c.app(2*n + 2)
		c.equal()
		c.app(2*n + 3)
		c.write(2*n + 3)
		state := c.equal()
		if reported, _ := state["reported"].(map[string]any); reported["n"] != float64(2*n+3) {
			t.Errorf("with the clock %v ahead: %v", by, state)
		}
	}
	if n := gets.Load(); n > 0 {
		t.Errorf("%d gets", n)
	}
	decisions, err := c.d.Decisions(t.Context(), &lamp)
	if err != nil || len(decisions) > 0 {
		t.Errorf("decided were %+v, %v", decisions, err)
	}
	c.d.stop(t)
}

// TestRun_DeafSubscriber has a local client that never reads what it subscribed
// to, F-32: neither side, nor another client, waits for it.
func TestRun_DeafSubscriber(t *testing.T) {
	c := mustDoom(t)
	c.app(1)
	c.startOpen()
	c.write(1)
	c.equal()
	conn, err := net.Dial("tcp", c.d.address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	connect := packets.NewControlPacket(packets.Connect).(*packets.ConnectPacket)
	connect.ProtocolName, connect.ProtocolVersion, connect.CleanSession, connect.ClientIdentifier = "MQTT", 4, true, "deaf"
	subscribe := packets.NewControlPacket(packets.Subscribe).(*packets.SubscribePacket)
	subscribe.MessageID, subscribe.Topics, subscribe.Qoss = 1, []string{"$aws/things/lamp/shadow/#"}, []byte{1}
	for _, p := range []packets.ControlPacket{connect, subscribe} {
		if err := p.Write(conn); err != nil {
			t.Fatal(err)
		}
	}
	deltas := c.deltas(true)
	const last = 400
	long := strings.Repeat("x", 6000) // some MiB in all: more than the kernel takes for a client
	for n := 2; n <= last; n++ {
		c.there.Update("lamp", "", map[string]any{"desired": map[string]any{"app": n, "long": fmt.Sprint(n, long)}})
		if n%40 == 0 {
			c.write(n)
		}
	}
	if state := c.equal(); state["reported"].(map[string]any)["n"] != float64(last) {
		t.Errorf("n is %v", state["reported"])
	}
	mustHear(t, deltas, last)
	c.d.stop(t)
}

// TestRun_LocalBrokerRestarts stops and starts the daemon, and so the local
// broker, while events of the cloud arrive, F-34: a device whose session is kept
// hears of the last one.
func TestRun_LocalBrokerRestarts(t *testing.T) {
	c := mustDoom(t)
	c.app(1)
	c.startOpen()
	c.write(1)
	c.equal()
	c.deltas(true)
	n := 1
	for range 3 {
		for range 20 {
			n++
			c.app(n)
		}
		c.d.stop(t)
		n++
		c.app(n)
		c.startOpen()
	}
	deltas := c.deltas(false)
	c.equal()
	mustHear(t, deltas, n)
}

func mustHear(t *testing.T, deltas <-chan int, want int) {
	t.Helper()
	for deadline := time.After(patience); ; {
		select {
		case got := <-deltas:
			if got == want {
				return
			}
		case <-deadline:
			t.Fatalf("the device never heard of %d", want)
		}
	}
}

// deltas is what a local device hears that lamp is desired to do, in a session
// that is kept.
func (c *doomed) deltas(subscribe bool) <-chan int {
	c.t.Helper()
	heard := make(chan int, 1000)
	hear := func(_ mqtt.Client, m mqtt.Message) {
		var delta struct{ State struct{ App int } }
		if json.Unmarshal(m.Payload(), &delta) == nil {
			heard <- delta.State.App
		}
	}
	client := mqtt.NewClient(mqtt.NewClientOptions().AddBroker("tcp://" + c.d.address).SetClientID("device").SetCleanSession(false).
		SetAutoReconnect(false).SetConnectTimeout(patience).SetDefaultPublishHandler(hear))
	if token := client.Connect(); !token.WaitTimeout(patience) || token.Error() != nil {
		c.t.Fatalf("the device can't connect: %v", token.Error())
	}
	c.t.Cleanup(func() { client.Disconnect(0) })
	if subscribe {
		if token := client.Subscribe("$aws/things/lamp/shadow/update/delta", 1, nil); !token.WaitTimeout(patience) || token.Error() != nil {
			c.t.Fatal(token.Error())
		}
	}
	return heard
}
