package relay_test

import (
	"fmt"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"edgeshadow/bridge/relay"
)

// underWay is how many messages whoever publishes has without a PUBACK.
const underWay = 64

// BenchmarkThroughput takes messages of 200 bytes to the cloud with QoS 1: with
// the bare client library, and through the journal on disk.
func BenchmarkThroughput(b *testing.B) {
	payload := []byte(pad(200))
	b.Run("paho", func(b *testing.B) {
		c := mustCloud(b)
		c.silent = true
		client := mqtt.NewClient(mqtt.NewClientOptions().AddBroker("tcp://" + c.addr).SetClientID("bare").SetCleanSession(false).SetAutoReconnect(false))
		if t := client.Connect(); !t.WaitTimeout(patience) || t.Error() != nil {
			b.Fatal("connect", t.Error())
		}
		defer client.Disconnect(0)
		began := time.Now()
		window := make(chan mqtt.Token, underWay)
		for i := 0; b.Loop(); i++ {
			if len(window) == cap(window) {
				if t := <-window; !t.WaitTimeout(patience) || t.Error() != nil {
					b.Fatal(t.Error())
				}
			}
			window <- client.Publish(fmt.Sprintf("site1/%d/data", i%8), 1, false, payload)
		}
		for len(window) > 0 {
			(<-window).WaitTimeout(patience)
		}
		b.ReportMetric(float64(b.N)/time.Since(began).Seconds(), "msg/s") // the last PUBACK included
	})
	b.Run("relay", func(b *testing.B) {
		c := mustCloud(b)
		c.silent = true
		s := mustOpen(b, up, nil, b.TempDir(), c.addr)
		<-s.up
		began := time.Now()
		for i := 0; b.Loop(); i++ {
			s.Take(b.Context(), relay.Message{Topic: fmt.Sprintf("line/%d/data", i%8), Payload: payload}, func() {})
		}
		for s.class(b, "telemetry").Pending > 0 || s.class(b, "telemetry").Taken < int64(b.N) {
			time.Sleep(time.Millisecond)
		}
		b.ReportMetric(float64(b.N)/time.Since(began).Seconds(), "msg/s") // the last PUBACK included
	})
}
