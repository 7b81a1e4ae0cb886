package gateway_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"edgeshadow/localshadow/shadow"
	"edgeshadow/test/modbustest"
	"edgeshadow/test/porttest"
)

// TestGateway_MaxAge: a command that lay in the cloud for longer than max_age
// is told and not executed when the gateway gets it, also by a gateway that has
// just been started; asked for again, it is.
func TestGateway_MaxAge(t *testing.T) {
	t.Parallel()
	cloudAddr := porttest.MustFindAddress(t)
	cloudDir, dir := t.TempDir(), t.TempDir()
	cloud := MustRun(t, cloudDir, MustLoad(t, cloudDir, fmt.Sprintf("gateway: {thing: cloud}\nbroker: {listeners: [{address: %q}]}\n", cloudAddr)))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	boiler := shadow.ID{Thing: "boiler"}
	desire := func(setpoint string) {
		t.Helper()
		if _, err := cloud.Update(ctx, boiler, []byte(`{"state":{"desired":{"setpoint":`+setpoint+`}}}`)); err != nil {
			t.Fatal(err)
		}
	}
	desire("50")
	// The cloud's clock goes on; the next message carries its time.
	time.Sleep(3500 * time.Millisecond)
	if _, err := cloud.Update(ctx, boiler, []byte(`{"state":{"desired":{"other":1}}}`)); err != nil {
		t.Fatal(err)
	}

	plc := modbustest.MustServe(t)
	plc.SetHolding(1, 11, 40)
	edge := MustRun(t, dir, MustLoad(t, dir, fmt.Sprintf(`
gateway: {thing: edge}
broker: {listeners: [{address: "127.0.0.1:0"}]}
cloud: {endpoint: "mqtt://%s"}
buses: {plc: {type: modbus-tcp, host: %q}}
things:
  boiler:
    bus: plc
    every: 50ms
    points:
      setpoint: {at: "holding:11", type: uint16, write: true, max_age: 2s}
`, cloudAddr, plc.Addr())))
	refused := func() string {
		things, err := edge.Client.Things(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, th := range things {
			if th.Name == "boiler" {
				return th.Refused["setpoint"]
			}
		}
		return ""
	}
	await(t, "the refusal", func() bool { return strings.HasPrefix(refused(), "not executed: it was ") })
	await(t, "the refusal in the cloud", func() bool {
		doc, err := cloud.Get(ctx, shadow.ID{Thing: "boiler", Name: "connectivity"})
		return err == nil && strings.Contains(string(doc), "not executed")
	})
	if got := plc.Holding(1, 11, 1)[0]; got != 40 {
		t.Fatalf("the register holds %d: an old command was executed", got)
	}
	desire("50") // the same value, in another second
	if err := plc.AwaitHolding(ctx, 1, 11, 50); err != nil {
		t.Fatal(err)
	}
	await(t, "no refusal", func() bool { return refused() == "" })
}
