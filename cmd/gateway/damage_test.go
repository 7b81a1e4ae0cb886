package gateway_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"edgeshadow/cmd/gateway"
	"edgeshadow/localshadow/shadow"
	"edgeshadow/test/modbustest"
)

// A store that was damaged is set aside, which is told; the gateway starts, and
// what the cloud and the devices know is there again: commands come down, and
// values are read anew.
func TestGateway_RebuildsDamagedStore(t *testing.T) {
	plc := modbustest.MustServe(t)
	plc.SetHolding(1, 0, 42)
	dir := t.TempDir()
	cloud := MustRun(t, dir, MustLoad(t, dir, "broker: {listeners: [{address: '127.0.0.1:0'}]}"))
	dir = t.TempDir()
	yaml := fmt.Sprintf(`broker: {listeners: [{address: "127.0.0.1:0"}]}
cloud: {endpoint: "mqtt://%s"}
buses: {plc: {type: modbus-tcp, host: %q}}
things:
  lamp: {}
  boiler: {bus: plc, every: 20ms, points: {temperature: {at: "holding:0", type: int16}}}
`, cloud.Addrs()[0], plc.Addr())

	synced := func(g *gateway.Gateway) bool {
		for _, thing := range []string{"lamp", "boiler"} {
			here, err := g.Service().Document(shadow.ID{Thing: thing})
			there, err2 := cloud.Service().Document(shadow.ID{Thing: thing})
			if err != nil || err2 != nil {
				t.Fatal(err, err2)
			}
			if here == nil || there == nil || shadow.Diff(here.State, there.State) != nil {
				return false
			}
		}
		return true
	}
	t.Run("before", func(t *testing.T) {
		g := MustRun(t, dir, MustLoad(t, dir, yaml))
		if _, err := g.Update(t.Context(), shadow.ID{Thing: "lamp"}, []byte(`{"state":{"desired":{"power":"on"},"reported":{"power":"off"}}}`)); err != nil {
			t.Fatal(err)
		}
		awaitReported(t, g, "boiler", `"temperature":42`)
		await(t, "the cloud has it all", func() bool { return synced(g.Gateway) })
	})
	if err := os.Truncate(filepath.Join(dir, "data/store/MANIFEST"), 3); err != nil {
		t.Fatal(err)
	}

	g := MustRun(t, dir, MustLoad(t, dir, yaml))
	await(t, "it is all there again", func() bool { return synced(g.Gateway) })
	d, err := g.Service().Document(shadow.ID{Thing: "lamp"})
	if err != nil {
		t.Fatal(err)
	}
	if got := string(shadow.Append(nil, d.State.Desired)); got != `{"power":"on"}` {
		t.Errorf("desired of the lamp: %s", got)
	}
	s, err := g.Gateway.Status()
	if err != nil {
		t.Fatal(err)
	}
	if s.Store.Quarantined != filepath.Join(dir, "data/store.bad-1") || s.Store.Reason == "" {
		t.Errorf("set aside as %q because %q", s.Store.Quarantined, s.Store.Reason)
	}
}
