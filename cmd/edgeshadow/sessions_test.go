package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"edgeshadow/test/porttest"
)

// TestRun_KilledWithSessions kills the daemon while messages are published to a
// client that lasts, connected or not. Each message that was acknowledged must
// come; retained messages and subscriptions must be there. (That a message of
// QoS 2 comes once is tested where the client remembers packet ids, too.)
func TestRun_KilledWithSessions(t *testing.T) {
	dir, seed := t.TempDir(), time.Now().UnixNano()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(uint64(seed), 0))
	var (
		mu    sync.Mutex
		acked = map[int]bool{} // numbers of messages
		came  = map[int]bool{}
		last  string // retained and acknowledged
	)
	hear := func(_ mqtt.Client, m mqtt.Message) {
		n, _ := strconv.Atoi(string(m.Payload()))
		mu.Lock()
		defer mu.Unlock()
		came[n] = true
	}
	connect := func(d *daemon, id string, clean bool) mqtt.Client {
		o := mqtt.NewClientOptions().AddBroker("tcp://" + d.address).SetClientID(id).SetCleanSession(clean).
			SetAutoReconnect(false).SetConnectTimeout(patience).SetDefaultPublishHandler(hear)
		c := mqtt.NewClient(o)
		if token := c.Connect(); !token.WaitTimeout(patience) || token.Error() != nil {
			t.Fatalf("%s can't connect: %v", id, token.Error())
		}
		return c
	}
	next := 1
	for round := range *crashes {
		d := MustRunDaemon(t, dir, porttest.MustFindAddress(t), "")
		sleeper := connect(d, "sleeper", false)
		if round == 0 {
			if token := sleeper.Subscribe("q/#", 2, nil); !token.WaitTimeout(patience) || token.Error() != nil {
				t.Fatal(token.Error())
			}
		}
		if round%2 == 0 {
			sleeper.Disconnect(100)
		}
		sender := connect(d, fmt.Sprint("sender-", round), true)
		var wait sync.WaitGroup
		wait.Go(func() {
			for range 800 { // as many as may wait
				n, qos := next, byte(1+next%2)
				next++
				token := sender.Publish("q/x", qos, false, strconv.Itoa(n))
				if !token.WaitTimeout(patience) || token.Error() != nil {
					return // the daemon is gone
				}
				mu.Lock()
				acked[n] = true
				mu.Unlock()
				if n%20 == 0 {
					token := sender.Publish("r/x", 1, true, strconv.Itoa(n))
					if !token.WaitTimeout(patience) || token.Error() != nil {
						return
					}
					mu.Lock()
					last = strconv.Itoa(n)
					mu.Unlock()
				}
			}
		})
		// The moment is what the test is about: anywhere in the stream.
		<-time.After(time.Duration(50+random.Int64N(200)) * time.Millisecond)
		d.kill()
		wait.Wait()
		if round%2 == 1 {
			sleeper.Disconnect(0)
		}
		t.Logf("round %d: killed after %d acknowledged", round, len(acked))
	}
	d := MustRunDaemon(t, dir, porttest.MustFindAddress(t), "")
	sleeper := connect(d, "sleeper", false)
	d.await(t, "all have come", func(context.Context) bool {
		mu.Lock()
		defer mu.Unlock()
		for n := range acked {
			if !came[n] {
				return false
			}
		}
		return true
	})
	watch := connect(d, "watch", true)
	retained := make(chan string, 1)
	watch.Subscribe("r/#", 1, func(_ mqtt.Client, m mqtt.Message) { retained <- string(m.Payload()) })
	select {
	case got := <-retained:
		if got < last && len(got) <= len(last) {
			t.Errorf("retained %s, acknowledged was %s", got, last)
		}
	case <-time.After(patience):
		t.Error("no retained message")
	}
	watch.Disconnect(0)
	sleeper.Disconnect(0)
	d.stop(t)
}
