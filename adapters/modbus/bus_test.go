package modbus_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"edgeshadow/adapters"
	"edgeshadow/adapters/modbus"
	"edgeshadow/test/fieldtest"
	"edgeshadow/test/modbustest"
)

// patience bounds what a test waits for; nothing asserts it.
const patience = 20 * time.Second

// site is a Supervisor that runs the buses of a configuration.
type site struct {
	*adapters.Supervisor
	*fieldtest.Shadows
	buses map[string]*modbus.Bus
}

// MustRun runs things on buses until the test ends.
func MustRun(tb testing.TB, buses modbus.Buses, things adapters.Things) *site {
	tb.Helper()
	for _, err := range append(things.Validate(), buses.Validate(things)...) {
		tb.Fatal(err)
	}
	s := &site{Shadows: &fieldtest.Shadows{}, buses: map[string]*modbus.Bus{}}
	drivers := map[string]adapters.Driver{}
	for name, cfg := range buses {
		s.buses[name] = modbus.New(name, cfg, things, logger(tb))
		drivers[name] = s.buses[name]
	}
	var err error
	if s.Supervisor, err = adapters.New(things, drivers, s.Shadows, logger(tb)); err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := s.Run(ctx); err != nil {
			tb.Error(err)
		}
	})
	tb.Cleanup(func() { cancel(); wg.Wait() })
	return s
}

// logger writes to the test's log.
func logger(tb testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(tb.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func tcp(s *modbustest.Server) modbus.Buses {
	return modbus.Buses{"plc": {Type: modbus.TCP, Host: s.Addr(), Timeout: 500 * time.Millisecond}}
}

// every of the test's polls: short, so that a test is.
const every = 20 * time.Millisecond

func boiler() adapters.Things {
	return adapters.Things{"boiler": {Bus: "plc", Every: every, OfflineAfter: 300 * time.Millisecond, Points: map[string]adapters.Point{
		"water":    {At: "input:0", Type: "int16", Scale: decimal("0.1")},
		"burner":   {At: "discrete:4"},
		"pump":     {At: "coil:2", Write: true},
		"energy":   {At: "holding:100", Type: "float32", Order: "CDAB"},
		"setpoint": {At: "holding:11", Type: "int16", Scale: decimal("0.1"), Write: true, Min: decimal("5"), Max: decimal("80")},
	}}}
}

func decimal(text string) *adapters.Decimal {
	d, err := adapters.ParseDecimal(text)
	if err != nil {
		panic(err)
	}
	return &d
}

func num(text string) json.Number { return json.Number(text) }

// MustServeBoiler is a server with the registers of boiler in unit 1.
func MustServeBoiler(tb testing.TB) *modbustest.Server {
	tb.Helper()
	s := modbustest.MustServe(tb)
	s.SetInput(1, 0, 215)
	s.SetDiscrete(1, 4, true)
	s.SetCoil(1, 2, false)
	s.SetHolding(1, 11, 400)
	s.SetHolding(1, 100, 0x0000, 0x42F6) // 123, low word first
	return s
}

func TestBus_ReadsAndWrites(t *testing.T) {
	t.Parallel()
	server := MustServeBoiler(t)
	s := MustRun(t, tcp(server), boiler())
	s.AwaitValue(t, "boiler", "water", num("21.5"))
	s.AwaitValue(t, "boiler", "burner", true)
	s.AwaitValue(t, "boiler", "energy", num("123"))
	s.AwaitValue(t, "boiler", "setpoint", num("40"))
	s.AwaitValue(t, "boiler", "pump", false)
	s.AwaitOnline(t, "boiler", true)

	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	s.Actuate("boiler", "", map[string]any{"setpoint": num("55.5"), "pump": true})
	if err := server.AwaitHolding(ctx, 1, 11, 555); err != nil {
		t.Fatal(err)
	}
	s.AwaitValue(t, "boiler", "setpoint", num("55.5"))
	s.AwaitValue(t, "boiler", "pump", true)

	// Clamped: the device holds the bound, the shadow says so, and why.
	s.Actuate("boiler", "", map[string]any{"setpoint": num("95"), "pump": true})
	if err := server.AwaitHolding(ctx, 1, 11, 800); err != nil {
		t.Fatal(err)
	}
	s.AwaitValue(t, "boiler", "setpoint", num("80"))
	s.Await(t, "boiler", adapters.ConnectivityShadow, "setpoint clamped", func(doc map[string]any) bool {
		q, _ := doc["quality"].(map[string]any)
		return q["setpoint"] == "clamped"
	})
	for _, r := range server.Log() {
		if r.Write() && r.Addr == 11 && r.Values[0] != 555 && r.Values[0] != 800 {
			t.Errorf("wrote %s", r)
		}
	}
}

// TestL2_HealsByItself: a server that is killed marks the thing, leaves its last
// good values, and is found again.
func TestL2_HealsByItself(t *testing.T) {
	t.Parallel()
	server := MustServeBoiler(t)
	s := MustRun(t, tcp(server), boiler())
	s.Await(t, "boiler", "", "all points", func(doc map[string]any) bool { return len(doc) == 5 })
	addr := server.Addr()
	if err := server.Close(); err != nil {
		t.Fatal(err)
	}
	doc := s.AwaitOnline(t, "boiler", false)
	if doc["since"] == nil || doc["last_seen"] == nil {
		t.Errorf("connectivity = %v, want since and last_seen", doc)
	}
	s.Await(t, "boiler", adapters.ConnectivityShadow, "each point's quality", func(doc map[string]any) bool {
		q, _ := doc["quality"].(map[string]any)
		return q["water"] == "timeout" || q["water"] == "stale"
	})
	if got := s.Get("boiler", ""); got["water"] != num("21.5") || got["setpoint"] != num("40") {
		t.Errorf("reported while dead = %v, want the last good values", got)
	}
	server.SetInput(1, 0, 300)
	if err := server.Listen(addr); err != nil {
		t.Fatal(err)
	}
	s.AwaitOnline(t, "boiler", true)
	s.AwaitValue(t, "boiler", "water", num("30"))
	s.Await(t, "boiler", adapters.ConnectivityShadow, "all good", func(doc map[string]any) bool { return doc["quality"] == nil })
}

// TestBus_ReportsWithinTwoIntervals: what changes in the device is reported
// before its third poll.
func TestBus_ReportsWithinTwoIntervals(t *testing.T) {
	t.Parallel()
	server := MustServeBoiler(t)
	things := boiler()
	b := things["boiler"]
	b.Every = 500 * time.Millisecond
	things["boiler"] = b
	s := MustRun(t, tcp(server), things)
	s.AwaitValue(t, "boiler", "water", num("21.5"))
	for i := range 3 {
		server.SetInput(1, 0, uint16(300+10*i))
		server.ClearLog()
		s.AwaitValue(t, "boiler", "water", num(fmt.Sprint(30+i)))
		polls := 0
		for _, r := range server.Log() {
			if r.Table == modbustest.Input {
				polls++
			}
		}
		if polls > 2 {
			t.Errorf("reported after %d polls", polls)
		}
	}
}
