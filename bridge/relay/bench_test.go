package relay_test

import (
	"fmt"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"edgeshadow/bridge/relay"
)

const (
	// underWay is how many messages the bare client has without a PUBACK.
	underWay = 64
	// round is how many messages are acknowledged by the cloud in one operation,
	// all of them: fewer than the journal has room for.
	round = 100_000
)

// BenchmarkThroughput takes messages of 200 bytes to the cloud with QoS 1: with
// the bare client library, and through the journal on disk.
func BenchmarkThroughput(b *testing.B) {
	payload := []byte(pad(200))
	report := func(b *testing.B) {
		b.ReportMetric(float64(b.N*round)/b.Elapsed().Seconds(), "msg/s")
	}
	b.Run("paho", func(b *testing.B) {
		c := mustCloud(b)
		c.silent = true
		client := mqtt.NewClient(mqtt.NewClientOptions().AddBroker("tcp://" + c.addr).SetClientID("bare").SetCleanSession(false).SetAutoReconnect(false))
		if t := client.Connect(); !t.WaitTimeout(patience) || t.Error() != nil {
			b.Fatal("connect", t.Error())
		}
		defer client.Disconnect(0)
		window := make(chan mqtt.Token, underWay)
		acknowledged := func() {
			if t := <-window; !t.WaitTimeout(patience) || t.Error() != nil {
				b.Fatal(t.Error())
			}
		}
		for b.Loop() {
			for i := range round {
				if len(window) == cap(window) {
					acknowledged()
				}
				window <- client.Publish(fmt.Sprintf("site1/%d/data", i%8), 1, false, payload)
			}
			for len(window) > 0 {
				acknowledged()
			}
		}
		report(b)
	})
	b.Run("relay", func(b *testing.B) {
		c := mustCloud(b)
		c.silent = true
		s := mustOpen(b, up, nil, b.TempDir(), c.addr)
		<-s.up
		want := int64(0)
		for b.Loop() {
			for i := range round {
				s.Take(b.Context(), relay.Message{Topic: fmt.Sprintf("line/%d/data", i%8), Payload: payload}, func() {})
			}
			want += round
			for s.class(b, "telemetry").Sent < want {
				time.Sleep(time.Millisecond)
			}
		}
		report(b)
		if st := s.class(b, "telemetry"); st.Sent != want || st.Dropped > 0 || c.counted.Load() != want {
			b.Errorf("of %d messages the cloud has %d; %+v", want, c.counted.Load(), st)
		}
	})
}
