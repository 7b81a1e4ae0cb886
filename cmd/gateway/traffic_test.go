package gateway_test

import (
	"fmt"
	"testing"
	"time"

	"edgeshadow/cmd/gateway"
)

// A day is told as it was, and a month as thirty such days; hours that are past
// are forgotten.
func TestTraffic(t *testing.T) {
	began := time.Now()
	tr := gateway.NewTraffic(began)
	if got := tr.Read(began.Add(30*time.Minute), 1000, 500); got.UpDay != 1000 || got.DownDay != 500 || got.Month != nil {
		t.Errorf("after half an hour: %+v", got)
	}
	const perHour = 100_000
	up := int64(1000)
	for h := 1; h <= 72; h++ {
		up += perHour
		tr.Add(began.Add(time.Duration(h)*time.Hour), up, 500)
	}
	got := tr.Read(began.Add(72*time.Hour), up, 500)
	if got.UpDay != 24*perHour || got.DownDay != 0 {
		t.Errorf("a steady day: %+v, want %d up", got, 24*perHour)
	}
	if want := int64(24 * 30 * perHour); got.Month == nil || *got.Month < want || *got.Month > want*11/10 {
		t.Errorf("a steady month: %v, want about %d", got.Month, want)
	}
	// A day without a look: all that is known lies before.
	if got := tr.Read(began.Add(100*time.Hour), up, 500); got.UpDay != 0 {
		t.Errorf("after a silent day: %+v", got)
	}
}

// The day goes on after a restart; the time between does not count.
func TestTraffic_Restart(t *testing.T) {
	began := time.Now()
	tr := gateway.NewTraffic(began)
	tr.Add(began.Add(30*time.Minute), 1000, 10)
	tr.Add(began.Add(90*time.Minute), 3000, 30)
	again := began.Add(100 * time.Hour)
	tr = tr.Restart(began.Add(100*time.Minute), again)
	if got := tr.Read(again, 0, 0); got.UpDay != 3000 || got.DownDay != 30 || got.Month == nil {
		t.Errorf("right after the restart: %+v", got)
	}
	if got := tr.Read(again.Add(time.Hour), 500, 5); got.UpDay != 3500 || got.DownDay != 35 {
		t.Errorf("an hour later: %+v", got)
	}
	// The first half hour is more than a day of running ago.
	if got := tr.Read(again.Add(23*time.Hour), 500, 5); got.UpDay != 2500 || got.DownDay != 25 {
		t.Errorf("most of a day later: %+v", got)
	}
}

// What was carried is still known to the gateway that follows in the same place.
func TestGateway_TrafficSurvivesARestart(t *testing.T) {
	there, dir := t.TempDir(), t.TempDir()
	cloud := MustRun(t, there, MustLoad(t, there, "gateway: {thing: cloud}\nbroker: {listeners: [{address: '127.0.0.1:0'}]}"))
	cfg := MustLoad(t, dir, fmt.Sprintf("broker: {listeners: [{address: '127.0.0.1:0'}]}\ncloud: {endpoint: 'mqtt://%s'}", cloud.Addrs()[0]))
	day := func(g running) int64 {
		s, err := g.Client.Status(t.Context())
		if err != nil || s.Traffic == nil {
			t.Fatalf("traffic %v, %v", s.Traffic, err)
		}
		return s.Traffic.UpDay
	}
	var carried int64
	t.Run("first", func(t *testing.T) {
		g := MustRun(t, dir, cfg)
		await(t, "something is carried", func() bool { carried = day(g); return carried > 0 })
	})
	cfg.Cloud.Endpoint = "mqtt://127.0.0.1:1" // where nobody is
	if again := day(MustRun(t, dir, cfg)); again < carried {
		t.Errorf("%d bytes after the restart, %d before", again, carried)
	}
}
