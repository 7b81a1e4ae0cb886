package modbus_test

import (
	"testing"
	"time"

	"edgeshadow/adapters"
	"edgeshadow/test/modbustest"
)

// TestBus_RestsWhileTheLinkIsDown: a server whose only unit is silent loses its
// session again and again. The bus asks anew when a link is due, not in between.
func TestBus_RestsWhileTheLinkIsDown(t *testing.T) {
	t.Parallel()
	s := modbustest.MustServe(t)
	s.SetInput(2, 0, 0) // some other unit is there
	buses := tcp(s)
	for name, c := range buses {
		c.Timeout = 20 * time.Millisecond
		buses[name] = c
	}
	things := adapters.Things{"dead": boiler()["boiler"]}
	site := MustRun(t, buses, things)
	if err := s.AwaitRequests(t.Context(), 8); err != nil { // more than two sessions full of silence
		t.Fatal(err)
	}
	for _, bus := range site.Stats() {
		if asked := s.Requests(); bus.Errors > uint64(10*asked) {
			t.Errorf("%d polls failed, and only %d were sent", bus.Errors, asked)
		}
	}
}
