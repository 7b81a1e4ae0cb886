package gateway_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"edgeshadow/bridge/upstream"
	"edgeshadow/cmd/gateway"
	"edgeshadow/localshadow/shadow"
	"edgeshadow/test/modbustest"
	"edgeshadow/test/porttest"
)

// site is a gateway with a PLC on a bus.
const site = `gateway: {thing: gw}
broker: {listeners: [%s]}
buses: {plc: {type: modbus-tcp, host: %q}}
things:
  boiler: {bus: plc, every: 20ms, points: {temperature: {at: "holding:0", type: int16, write: true}}}
%s`

// TestGateway_Reload changes a thing, adds one and a listener: the bus keeps its
// session and the client its connection. A reload that fails changes nothing.
func TestGateway_Reload(t *testing.T) {
	plc := modbustest.MustServe(t)
	plc.SetHolding(1, 0, 20)
	plc.SetHolding(2, 0, 30)
	first, second := porttest.MustFindAddress(t), porttest.MustFindAddress(t)
	listeners := func(addresses ...string) string {
		return `{address: "` + strings.Join(addresses, `"}, {address: "`) + `"}`
	}
	dir := t.TempDir()
	g := MustRun(t, dir, MustLoad(t, dir, fmt.Sprintf(site, listeners(first), plc.Addr(), "")))
	client := mustConnect(t, first, "first")
	awaitReported(t, g, "boiler", `"temperature":20`)
	if _, err := g.Update(t.Context(), shadow.ID{Thing: "pump"}, []byte(`{"state":{"desired":{"speed":70}}}`)); err != nil {
		t.Fatal(err)
	}

	// Nothing changed.
	if changes, err := g.Gateway.Reload(); err != nil || len(changes) != 0 {
		t.Errorf("of the same file: %v, %v", changes, err)
	}

	// A new thing, whose command waits for it, beside one that stays, and a listener.
	pump := `  pump: {bus: plc, unit: 2, every: 20ms, points: {speed: {at: "holding:0", type: int16, write: true}}}`
	mustWriteConfig(t, dir, fmt.Sprintf(site, listeners(first, second), plc.Addr(), pump))
	changes, err := g.Gateway.Reload()
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(changes); got != "[broker.listeners[1].address: "+second+" (new) things.pump: all of it (new)]" {
		t.Errorf("changes %s", got)
	}
	awaitReported(t, g, "pump", `"speed":70`)
	mustConnect(t, second, "second")

	// A listener that can't be had, beside a change that could be made.
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	mustWriteConfig(t, dir, fmt.Sprintf(site, listeners(first, taken.Addr().String()), plc.Addr(), ""))
	if changes, err := g.Gateway.Reload(); err == nil || !strings.Contains(err.Error(), "address already in use") {
		t.Errorf("with an address in use: %v, %v", changes, err)
	}
	// What needs a restart is named, all of it, and nothing is applied: neither what
	// could be.
	var restart *gateway.RestartError
	good, file := fmt.Sprintf(site, listeners(first, second), plc.Addr(), ""), filepath.Join(dir, "edgeshadow.yaml")
	for _, tt := range []struct{ old, new, want string }{
		{"thing: gw", "thing: other", "gateway.thing"},
		{"thing: gw", "thing: gw, metrics: '127.0.0.1:0'", "gateway.metrics"},
		{"thing: gw", "thing: other, metrics: '127.0.0.1:0'", "gateway.metrics, gateway.thing"},
		{"store: {", "store: {durability: 1s, ", "store.durability"},
	} {
		mustWriteConfig(t, dir, good)
		yaml, err := os.ReadFile(file)
		if err == nil {
			err = os.WriteFile(file, bytes.Replace(yaml, []byte(tt.old), []byte(tt.new), 1), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, err := g.Gateway.Reload(); !errors.As(err, &restart) || restart.Hint() == "" ||
			!strings.HasSuffix(err.Error(), "needs a restart: "+tt.want+"; nothing was applied") {
			t.Errorf("%s: %v", tt.new, err)
		}
	}
	plc.SetHolding(2, 0, 31)
	awaitReported(t, g, "pump", `"speed":31`) // it is still there

	s, err := g.Gateway.Status()
	if err != nil {
		t.Fatal(err)
	}
	if s.Buses[0].Sessions != 1 {
		t.Errorf("the bus made %d sessions, want 1", s.Buses[0].Sessions)
	}
	if st := client.Status(); st.Connects != 1 || st.State != upstream.Up {
		t.Errorf("the client is %s after %d connections", st.State, st.Connects)
	}
}

// TestGateway_ReloadCloud gives the uplink another budget, and takes things away:
// both hold at once, and what has no shadow is compared no more.
func TestGateway_ReloadCloud(t *testing.T) {
	plc := modbustest.MustServe(t)
	plc.SetHolding(1, 0, 20)
	const boiler = `  boiler: {bus: plc, every: 20ms, points: {temperature: {at: "holding:0", type: int16}}}`
	yaml := func(things, budget string) string {
		return fmt.Sprintf("gateway: {thing: gw}\nbroker: {listeners: [{address: '127.0.0.1:0'}]}\nbuses: {plc: {type: modbus-tcp, host: %q}}\nthings:\n%s\n"+
			"cloud: {endpoint: 'mqtt://%s', budget: %s}", plc.Addr(), things, porttest.MustFindAddress(t), budget)
	}
	const pump = `  pump: {attributes: {site: attic}}` // an MQTT device that has not been heard yet
	dir := t.TempDir()
	g := MustRun(t, dir, MustLoad(t, dir, yaml(boiler+"\n"+pump, "{per_day: 20MiB}")))
	awaitReported(t, g, "boiler", `"temperature":20`)
	if got := g.Sync().Stats().Budget; got.BytesPerDay != 20<<20 || got.OpsPerDay != 0 {
		t.Errorf("budget %+v", got)
	}
	if _, err := g.CreateThing(t.Context(), "lamp", "", nil); err != nil {
		t.Fatal(err)
	}
	if got := g.Sync().Things(); !slices.Equal(got, []string{"boiler", "gw", "lamp", "pump"}) {
		t.Errorf("synced are %q", got)
	}
	if err := g.DeleteThing(t.Context(), "lamp"); err != nil {
		t.Fatal(err)
	}
	if got := g.Sync().Things(); !slices.Equal(got, []string{"boiler", "gw", "pump"}) {
		t.Errorf("without lamp synced are %q", got)
	}
	if _, err := g.Gateway.Enroll(t.Context(), "tag"); err != nil {
		t.Fatal(err)
	}
	if got := g.Sync().Things(); !slices.Equal(got, []string{"boiler", "gw", "pump", "tag"}) {
		t.Errorf("with an enrolled thing synced are %q", got)
	}
	if _, err := g.Revoke(t.Context(), "tag"); err != nil {
		t.Fatal(err)
	}
	if got := g.Sync().Things(); !slices.Equal(got, []string{"boiler", "gw", "pump"}) {
		t.Errorf("after its certificate was revoked synced are %q", got)
	}
	mustWriteConfig(t, dir, yaml(boiler, "{per_day: 10MiB, shadow_ops_per_day: 500}"))
	if _, err := g.Gateway.Reload(); err != nil {
		t.Fatal(err)
	}
	if got := g.Sync().Stats().Budget; got.BytesPerDay != 10<<20 || got.OpsPerDay != 500 {
		t.Errorf("after the reload the budget is %+v", got)
	}
	things := g.Sync().Things()
	if slices.Contains(things, "pump") || !slices.Contains(things, "boiler") {
		t.Errorf("after the reload synced are %q", things)
	}
}

// awaitReported waits until a thing's document holds a text.
func awaitReported(tb testing.TB, g running, thing, want string) {
	tb.Helper()
	await(tb, thing+" reports "+want, func() bool {
		d, err := g.Service().Document(shadow.ID{Thing: thing})
		if err != nil {
			tb.Fatal(err)
		}
		return d != nil && strings.Contains(string(shadow.Append(nil, d.State.Reported)), want)
	})
}

// mustConnect connects an MQTT client until the test ends.
func mustConnect(tb testing.TB, address, id string) *upstream.Client {
	tb.Helper()
	h := &quiet{up: make(chan struct{})}
	c := &upstream.Client{
		Config: upstream.Config{Endpoint: "mqtt://" + address}, ClientID: id,
		Filters: []string{"some/topic"}, Handler: h,
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wait sync.WaitGroup
	wait.Go(func() { _ = c.Run(ctx) })
	tb.Cleanup(func() {
		cancel()
		wait.Wait()
	})
	<-h.up
	return c
}

type quiet struct {
	up   chan struct{}
	once sync.Once
}

func (q *quiet) Up(bool)                                { q.once.Do(func() { close(q.up) }) }
func (q *quiet) Down(error)                             {}
func (q *quiet) Message(_ string, _ []byte, ack func()) { ack() }
