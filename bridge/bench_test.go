package bridge_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"edgeshadow/bridge"
	"edgeshadow/bridge/upstream"

	"edgeshadow/localshadow"
	"edgeshadow/localshadow/shadow"
	"edgeshadow/test/cloudtest"
	"edgeshadow/test/shadowtest"
)

const (
	reconciled  = 2000 // shadows
	outstanding = 8    // requests, of both
)

// BenchmarkReconcile pushes a change of each of some shadows to a cloud that
// bears anything: by the reconciler over the real uplink with a durable store,
// and by a bare client that publishes the same requests and waits for the same
// answers, with as many outstanding.
func BenchmarkReconcile(b *testing.B) {
	b.Run("Reconciler", benchmarkReconciler)
	b.Run("BareClient", benchmarkBareClient)
}

func mustServe(b *testing.B) (*cloudtest.Cloud, *cloudtest.Broker) {
	b.Helper()
	cloud := cloudtest.New()
	for i := range reconciled {
		cloud.Update(fmt.Sprint("t", i), "", map[string]any{"reported": map[string]any{"n": -1}})
	}
	broker, err := cloudtest.Serve(cloud)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = broker.Close() })
	return cloud, broker
}

func benchmarkReconciler(b *testing.B) {
	cloud, broker := mustServe(b)
	store := shadowtest.MustOpenStoreWith(b, localshadow.Config{Path: b.TempDir()})
	service := shadowtest.NewService(b, store, nil)
	cfg := bridge.Default()
	cfg.MinPushInterval = 0 // a round takes less than the usual pause
	rec, err := bridge.Open(cfg, store, service, nil)
	if err != nil {
		b.Fatal(err)
	}
	rec.Unpaced()
	uplink := &upstream.Client{
		Config: upstream.Config{Endpoint: "mqtt://" + broker.Addr()}, ClientID: "gw", Filters: bridge.Filters(), Handler: rec,
	}
	rec.Connect(uplink)
	for i := range reconciled {
		rec.Know(fmt.Sprint("t", i))
	}
	service.Observe(rec)
	ctx, cancel := context.WithCancel(context.Background())
	var wait sync.WaitGroup
	wait.Go(func() { _ = rec.Run(ctx) })
	wait.Go(func() { _ = uplink.Run(ctx) })
	defer func() { cancel(); wait.Wait() }()
	patience, stop := context.WithTimeout(ctx, time.Minute)
	defer stop()
	round := 0
	var accepted atomic.Int64
	broker.Watch(func(m cloudtest.Moment, topic string, _ []byte) bool {
		if m == cloudtest.Leaving && strings.HasSuffix(topic, "/update/accepted") {
			accepted.Add(1)
		}
		return true
	})
	// all waits until the cloud has accepted what was written, and the reconciler
	// has taken that in.
	all := func(n int) {
		for accepted.Load() < int64(reconciled*(n+1)) || rec.Stats().Dirty > 0 {
			time.Sleep(100 * time.Microsecond)
		}
		want := map[string]any{"reported": map[string]any{"n": float64(n)}}
		for i := range reconciled {
			if err := cloud.AwaitShadow(patience, fmt.Sprint("t", i), "", want); err != nil {
				b.Fatal(err)
			}
		}
	}
	write := func(n int) {
		var writers sync.WaitGroup
		for i := range reconciled {
			writers.Go(func() {
				payload := fmt.Appendf(nil, `{"state":{"reported":{"n":%d}}}`, n)
				if _, err := service.Update(ctx, shadow.ID{Thing: fmt.Sprint("t", i)}, payload); err != nil {
					b.Error(err)
				}
			})
		}
		writers.Wait()
	}
	write(round)
	all(round)
	for b.Loop() {
		round++
		b.StopTimer()
		write(round)
		b.StartTimer()
		all(round)
	}
	b.ReportMetric(float64(b.N*reconciled)/b.Elapsed().Seconds(), "shadows/s")
}

func benchmarkBareClient(b *testing.B) {
	_, broker := mustServe(b)
	answers := make(chan string, reconciled)
	c := mqtt.NewClient(mqtt.NewClientOptions().AddBroker("tcp://" + broker.Addr()).SetClientID("bare"))
	if t := c.Connect(); t.Wait() && t.Error() != nil {
		b.Fatal(t.Error())
	}
	defer c.Disconnect(100)
	if t := c.Subscribe("$aws/things/+/shadow/update/accepted", 1, func(_ mqtt.Client, m mqtt.Message) { answers <- m.Topic() }); t.Wait() && t.Error() != nil {
		b.Fatal(t.Error())
	}
	window := make(chan struct{}, outstanding)
	version := 1
	for b.Loop() {
		var done sync.WaitGroup
		done.Go(func() {
			for range reconciled {
				if topic := <-answers; !strings.HasPrefix(topic, "$aws/") {
					b.Error(topic)
				}
				<-window
			}
		})
		for i := range reconciled {
			window <- struct{}{}
			payload, _ := json.Marshal(map[string]any{
				"state": map[string]any{"reported": map[string]any{"n": version}}, "version": version, "clientToken": fmt.Sprintf("12345678.1.%d", version),
			})
			c.Publish(fmt.Sprintf("$aws/things/t%d/shadow/update", i), 1, false, payload)
		}
		done.Wait()
		version++
	}
	b.ReportMetric(float64(b.N*reconciled)/b.Elapsed().Seconds(), "shadows/s")
}
