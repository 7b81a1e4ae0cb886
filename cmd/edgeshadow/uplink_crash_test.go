package main

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"edgeshadow/localshadow/shadow"
	"edgeshadow/test/cloudtest"
	"edgeshadow/test/fieldtest"
	"edgeshadow/test/porttest"
)

var lamp = shadow.ID{Thing: "lamp"}

// moment is where the cloud sees the daemon at a point of SYNC d7.
type moment struct {
	at     cloudtest.Moment
	topic  string // its end; of the lamp
	own    bool   // the message has a token of the daemon
	served bool   // the request is served though the daemon is dead
}

// doomed is a daemon that dies by kill -9 when its cloud sees a moment.
type doomed struct {
	t        *testing.T
	there    *cloudtest.Cloud
	broker   *cloudtest.Broker
	dir      string
	d        *daemon
	answered int // the highest n that was
}

func mustDoom(t *testing.T) *doomed {
	t.Helper()
	c := &doomed{t: t, there: cloudtest.New(), dir: t.TempDir()}
	var err error
	if c.broker, err = cloudtest.Serve(c.there); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.broker.Close() })
	return c
}

func (c *doomed) cloud() string {
	return fmt.Sprintf("cloud: {endpoint: 'mqtt://%s'}\n", c.broker.Addr())
}

func (c *doomed) start() {
	c.t.Helper()
	c.d = MustRunDaemon(c.t, c.dir, "127.0.0.1:0", c.cloud())
}

// startOpen starts it where local clients can find it.
func (c *doomed) startOpen() {
	c.t.Helper()
	c.d = MustRunDaemon(c.t, c.dir, porttest.MustFindAddress(c.t), c.cloud())
}

// doom kills d at the first moment that fits. D is sent when it has been started.
func (c *doomed) doom(m moment) (d chan *daemon) {
	var once sync.Once
	d = make(chan *daemon, 1)
	c.broker.Watch(func(at cloudtest.Moment, topic string, payload []byte) (pass bool) {
		pass = true
		if at == m.at && strings.HasSuffix(topic, m.topic) && strings.Contains(string(payload), "clientToken") == m.own &&
			(m.topic == "" || strings.Contains(topic, "/lamp/")) {
			once.Do(func() {
				(<-d).kill()
				pass = m.served
			})
		}
		return pass
	})
	return d
}

// write is a local client's update; its answer may be what is cut off.
func (c *doomed) write(n int) {
	if _, err := c.d.Update(c.t.Context(), lamp, fmt.Appendf(nil, `{"state":{"reported":{"n":%d}}}`, n)); err == nil {
		c.answered = n
	}
}

func (c *doomed) app(n int) {
	c.there.Update("lamp", "", map[string]any{"desired": map[string]any{"app": n}})
}

// here is the local state, as the cloud's is held; nil for none.
func (c *doomed) here(ctx context.Context) map[string]any {
	text, err := c.d.Get(ctx, lamp)
	if err != nil {
		return nil
	}
	var got struct{ State map[string]any }
	if err := json.Unmarshal(text, &got); err != nil {
		c.t.Error(err)
	}
	delete(got.State, "delta")
	return got.State
}

// equal waits until both sides are equal and the daemon knows that they are.
func (c *doomed) equal() (state map[string]any) {
	c.t.Helper()
	c.d.await(c.t, "both sides are equal", func(ctx context.Context) bool {
		status, err := c.d.SyncStatus(ctx)
		for _, s := range status {
			if s.Thing == "lamp" && s.State != "clean" {
				return false
			}
		}
		state = c.here(ctx)
		there, _ := c.there.State("lamp", "")
		return err == nil && state != nil && reflect.DeepEqual(state, numbers(c.t, there))
	})
	return state
}

// numbers is a state as JSON reads it.
func numbers(t *testing.T, state map[string]any) (out map[string]any) {
	text, err := json.Marshal(state)
	if err == nil {
		err = json.Unmarshal(text, &out)
	}
	if err != nil {
		t.Error(err)
	}
	return out
}

// recover starts the daemon anew after both sides were edited, and holds what
// must be true then.
func (c *doomed) recover() {
	c.t.Helper()
	c.broker.Watch(nil)
	c.there.Update("lamp", "", map[string]any{"desired": map[string]any{"while": "down"}})
	c.start()
	if _, err := c.d.Update(c.t.Context(), lamp, []byte(`{"state":{"reported":{"after":true}}}`)); err != nil {
		c.t.Fatal(err)
	}
	state := c.equal()
	reported, _ := state["reported"].(map[string]any)
	if n, _ := reported["n"].(float64); int(n) < c.answered {
		c.t.Errorf("I16: answered for %d, there is %v", c.answered, state)
	}
	if desired, _ := state["desired"].(map[string]any); desired["while"] != "down" {
		c.t.Errorf("I4: what the cloud desired is gone: %v", state)
	}
	c.d.stop(c.t)
}

// TestRun_KilledByTheCloud kills the daemon by kill -9 at every point of SYNC
// d7, F-23: the other side of the connection chooses the moment. Then both sides
// are edited, and the next daemon brings them together.
func TestRun_KilledByTheCloud(t *testing.T) {
	own := func(c *doomed) { c.write(2) }
	foreign := func(c *doomed) { c.app(2) }
	remove := func(c *doomed) {
		_, _ = c.d.Delete(c.t.Context(), lamp)
		c.answered = 0
	}
	const arrived, leaving, acked = cloudtest.Arrived, cloudtest.Leaving, cloudtest.Acked
	for name, p := range map[string]struct {
		moment
		do func(c *doomed)
	}{
		// The request never arrives, so whether it left is one to both sides.
		"T2_IntentDurable":        {moment{arrived, "/update", true, false}, own},
		"T2_RequestLeft":          {moment{arrived, "/update", true, true}, own},
		"T3_BeforeOwnAccepted":    {moment{leaving, "/update/accepted", true, false}, own},
		"T3_AfterOwnAccepted":     {moment{acked, "/update/accepted", true, false}, own},
		"T4_BeforeForeignEvent":   {moment{leaving, "/update/accepted", false, false}, foreign},
		"T4_AfterForeignEvent":    {moment{acked, "/update/accepted", false, false}, foreign},
		"T5_GetLeft":              {moment{arrived, "/get", true, true}, nil},
		"T5_BeforeGetAnswer":      {moment{leaving, "/get/accepted", true, false}, nil},
		"T5_AfterGetAnswer":       {moment{acked, "/get/accepted", true, false}, nil},
		"T7_DeleteIntent":         {moment{arrived, "/delete", true, false}, remove},
		"T7_DeleteLeft":           {moment{arrived, "/delete", true, true}, remove},
		"T7_BeforeDeleteAccepted": {moment{leaving, "/delete/accepted", true, false}, remove},
		"T7_AfterDeleteAccepted":  {moment{acked, "/delete/accepted", true, false}, remove},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := mustDoom(t)
			c.app(1)
			c.start()
			if p.do == nil { // what happens when a shadow is new
				c.doom(p.moment) <- c.d
				c.write(1)
			} else {
				c.write(1)
				c.equal()
				c.doom(p.moment) <- c.d
				p.do(c)
			}
			select {
			case <-c.d.done:
			case <-time.After(patience):
				t.Fatal("the moment never came")
			}
			if p.served && p.topic == "/delete" { // or it would meet what the cloud does next
				fieldtest.Await(t, "the delete that left is served", func() bool {
					state, _ := c.there.State("lamp", "")
					return state == nil
				})
			}
			c.recover()
		})
	}
	t.Run("T1_AfterLocalWrite", func(t *testing.T) {
		t.Parallel()
		c := mustDoom(t)
		c.app(1)
		c.start()
		c.write(1)
		c.d.kill()
		c.recover()
	})
	// T6, F-24: committed, and with the local broker; whether it was noted there
	// as delivered nobody knows.
	t.Run("T6_DeltaDelivered", func(t *testing.T) {
		t.Parallel()
		c := mustDoom(t)
		c.app(1)
		c.startOpen()
		c.write(1)
		c.equal()
		deltas := c.deltas(true)
		c.app(2)
		<-deltas
		c.d.kill()
		c.recover()
	})
}

// TestRun_KilledWhileItStarts kills the daemon again and again before it has
// taken in what the cloud held for it, F-27.
func TestRun_KilledWhileItStarts(t *testing.T) {
	c := mustDoom(t)
	c.app(1)
	c.start()
	c.write(1)
	c.equal()
	c.write(2)
	c.d.kill()
	for n, m := range []moment{
		{cloudtest.Connecting, "", false, false},
		{cloudtest.Acked, "/update/accepted", false, false}, // of the replay
		{cloudtest.Arrived, "", true, false},
		{cloudtest.Leaving, "", true, false},
	} {
		c.app(n + 2)
		c.app(n + 3)
		launched := c.doom(m)
		c.d = mustLaunch(t, c.dir, `{address: "127.0.0.1:0"}`, c.cloud(), started(t))
		launched <- c.d
		select {
		case <-c.d.done:
		case <-time.After(patience):
			t.Fatalf("moment %d never came", n)
		}
	}
	c.recover()
}
