package serial_test

import (
	"context"
	"testing"
	"time"

	"edgeshadow/adapters"
	"edgeshadow/adapters/serial"
	"edgeshadow/test/fieldtest"
	"edgeshadow/test/serialtest"
)

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
	sink := &fieldtest.Shadows{}
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
	sink.AwaitValue(t, "oven", "setpoint", num("20"))
	sink.AwaitOnline(t, "oven", true)
	dev.Mute(true)
	sink.AwaitOnline(t, "oven", false)
	sink.AwaitValue(t, "oven", "setpoint", num("20"))
	s.Actuate("oven", "", map[string]any{"setpoint": num("25")})
	dev.Mute(false)
	sink.AwaitOnline(t, "oven", true)
	sink.AwaitValue(t, "oven", "setpoint", num("25"))
}
