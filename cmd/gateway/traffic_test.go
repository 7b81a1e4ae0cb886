package gateway_test

import (
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
