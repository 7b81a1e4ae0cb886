package serial_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"edgeshadow/adapters"
	"edgeshadow/adapters/serial"
	"edgeshadow/test/serialtest"
)

// shadows is a Sink that holds what was reported.
type shadows struct {
	mu   sync.Mutex
	docs map[string]map[string]any // by thing/shadow
}

func (s *shadows) Report(_ context.Context, thing, shadow string, reported map[string]any) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := thing + "/" + shadow
	if s.docs[key] == nil {
		s.docs[key] = map[string]any{}
	}
	for k, v := range reported {
		s.docs[key][k] = v
	}
	return nil
}

func (s *shadows) await(tb testing.TB, shadow, key string, want any) {
	tb.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		s.mu.Lock()
		got := s.docs[shadow][key]
		s.mu.Unlock()
		if got == want {
			return
		}
		if time.Now().After(end) {
			tb.Fatalf("%s of %s is %v, want %v", key, shadow, got, want)
		}
	}
}

// A device that falls silent is offline after a while, keeps its last good
// value, and what is desired of it waits until it is heard again.
func TestSupervisor_SilentDevice(t *testing.T) {
	dev := serialtest.MustOpen(t)
	held := "20"
	dev.Answer(controller(&held))
	cfg := serial.Config{
		Port: dev.Path(), Parse: `^SP=(?P<setpoint>[\d.]+)$`, Timeout: 50 * time.Millisecond,
		Poll:     []serial.Poll{{Send: `SP?\r\n`, Every: 20 * time.Millisecond}},
		Commands: map[string]serial.Command{"setpoint": {Send: `SP {value}\r\n`, Read: `SP?\r\n`}},
	}
	points := map[string]adapters.Point{"setpoint": {Write: true}}
	driver := serial.New(dev.Path(), map[string]serial.Thing{"oven": {Config: cfg, Points: points}}, nil)
	sink := &shadows{docs: map[string]map[string]any{}}
	s, err := adapters.New(adapters.Things{"oven": {
		Via: cfg.Driver(), Points: cfg.Field(points), OfflineAfter: 300 * time.Millisecond,
	}}, map[string]adapters.Driver{cfg.Driver(): driver}, sink, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	sink.await(t, "oven/", "setpoint", num("20"))
	sink.await(t, "oven/connectivity", "online", true)
	dev.Mute(true)
	sink.await(t, "oven/connectivity", "online", false)
	sink.await(t, "oven/", "setpoint", num("20"))
	s.Actuate("oven", "", map[string]any{"setpoint": num("25")})
	dev.Mute(false)
	sink.await(t, "oven/connectivity", "online", true)
	sink.await(t, "oven/", "setpoint", num("25"))
}
