package modbus_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"edgeshadow/adapters"
	"edgeshadow/adapters/modbus"
	"edgeshadow/test/modbustest"
)

// TestBus_Exchange: what a tool asks goes between the polls, each function over
// each kind of link.
func TestBus_Exchange(t *testing.T) {
	t.Parallel()
	overTCP, overRTU := modbustest.MustServe(t), modbustest.MustServeRTU(t)
	for name, c := range map[string]struct {
		server *modbustest.Server
		cfg    modbus.Config
	}{
		"TCP":        {overTCP, modbus.Config{Type: modbus.TCP, Host: overTCP.Addr(), Timeout: 200 * time.Millisecond}},
		"RTUoverTCP": {overRTU, modbus.Config{Type: modbus.RTUTCP, Host: overRTU.Addr(), Timeout: 200 * time.Millisecond, Gap: milliseconds(1)}},
	} {
		t.Run(name, func(t *testing.T) {
			c.server.SetCoil(1, 0, make([]bool, 20)...)
			c.server.SetDiscrete(1, 0, true, false, true)
			c.server.SetInput(1, 0, 1, 2, 3)
			c.server.SetHolding(1, 0, make([]uint16, 10)...)
			fill(c.server, 1)
			s := MustRun(t, modbus.Buses{"line": c.cfg}, adapters.Things{"unit1": meter("line", 1, 10*time.Millisecond)})
			do := func(r modbus.Request, want ...uint16) {
				t.Helper()
				r.Unit = 1
				got, err := s.buses["line"].Exchange(t.Context(), r)
				if err != nil || !slices.Equal(got, want) {
					t.Errorf("%+v = %v, %v; want %v", r, got, err, want)
				}
			}
			do(modbus.Request{Table: "discrete", Count: 3}, 1, 0, 1)                               // 2
			do(modbus.Request{Table: "input", Addr: 1, Count: 2}, 2, 3)                            // 4
			do(modbus.Request{Table: "coil", Addr: 3, Values: []uint16{1}})                        // 5
			do(modbus.Request{Table: "coil", Addr: 8, Values: []uint16{1, 0, 1, 1}})               // 15
			do(modbus.Request{Table: "coil", Addr: 2, Count: 11}, 0, 1, 0, 0, 0, 0, 1, 0, 1, 1, 0) // 1
			do(modbus.Request{Table: "holding", Addr: 1, Values: []uint16{7}})                     // 6
			do(modbus.Request{Table: "holding", Addr: 2, Values: []uint16{8, 9}})                  // 16
			do(modbus.Request{Table: "holding", Count: 5}, 0, 7, 8, 9, 0)                          // 3
			seen := map[byte]bool{}
			for _, r := range c.server.Log() {
				seen[r.Function] = true
			}
			for _, f := range []byte{1, 2, 3, 4, 5, 6, 15, 16} {
				if !seen[f] {
					t.Errorf("function %d was not used", f)
				}
			}
			bus := s.buses["line"]
			if _, err := bus.Exchange(t.Context(), modbus.Request{Unit: 1, Table: "holding", Addr: 900, Count: 1}); !errors.Is(err, modbus.ErrException) {
				t.Errorf("what does not exist: %v", err)
			}
			if _, err := bus.Exchange(t.Context(), modbus.Request{Unit: 99, Table: "holding", Count: 1}); !errors.Is(err, modbus.ErrTimeout) {
				t.Errorf("a unit that is not there: %v", err)
			}
			for _, r := range []modbus.Request{
				{Table: "holdings", Count: 1}, {Table: "input", Values: []uint16{1}}, {Table: "holding", Count: 126},
				{Table: "coil", Count: 2001}, {Table: "holding", Count: 0}, {Table: "holding", Addr: 65535, Count: 2},
			} {
				if _, err := bus.Exchange(t.Context(), r); !errors.Is(err, modbus.ErrRequest) {
					t.Errorf("%+v: %v, want %v", r, err, modbus.ErrRequest)
				}
			}
			s.AwaitValue(t, "unit1", "power", num("101")) // the polls go on
		})
	}
}

// TestBus_WritesAsManyWhenOneIsUnknown: a unit without functions 5 and 6 is
// written to by 15 and 16, from its first refusal on.
func TestBus_WritesAsManyWhenOneIsUnknown(t *testing.T) {
	t.Parallel()
	server := MustServeBoiler(t)
	server.OnlyMultiple(1)
	s := MustRun(t, tcp(server), boiler())
	s.AwaitValue(t, "boiler", "setpoint", num("40"))
	s.Actuate("boiler", "", map[string]any{"setpoint": num("50")})
	s.AwaitValue(t, "boiler", "setpoint", num("50"))
	server.ClearLog()
	s.Actuate("boiler", "", map[string]any{"setpoint": num("60"), "pump": true})
	s.AwaitValue(t, "boiler", "setpoint", num("60"))
	s.AwaitValue(t, "boiler", "pump", true)
	for _, r := range server.Log() {
		if r.Function == 5 || r.Function == 6 {
			t.Errorf("%s, after it was refused once", r)
		}
	}
}

// TestBus_RefusalIsTold: a device's no stands in connectivity with its reason,
// and the value that it holds stays reported.
func TestBus_RefusalIsTold(t *testing.T) {
	t.Parallel()
	server := MustServeBoiler(t)
	s := MustRun(t, tcp(server), boiler())
	s.AwaitValue(t, "boiler", "setpoint", num("40"))
	server.Fail(1, modbustest.Coil, 2, 4)
	s.Actuate("boiler", "", map[string]any{"pump": true, "burner": false})
	s.Await(t, "boiler", adapters.ConnectivityShadow, "burner refused", func(doc map[string]any) bool {
		refused, _ := doc["refused"].(map[string]any)
		reason, _ := refused["burner"].(string)
		return strings.HasPrefix(reason, "read only")
	})
	s.Await(t, "boiler", adapters.ConnectivityShadow, "pump exception(4)", func(doc map[string]any) bool {
		q, _ := doc["quality"].(map[string]any)
		return q["pump"] == "exception(4)"
	})
}

// TestBus_ConverterWithoutUnit: a converter that says that it can't reach a unit
// (exceptions 10 and 11) speaks for a unit that is silent.
func TestBus_ConverterWithoutUnit(t *testing.T) {
	t.Parallel()
	server := MustServeBoiler(t)
	s := MustRun(t, tcp(server), boiler())
	s.AwaitOnline(t, "boiler", true)
	server.FailAll(1, 11)
	s.AwaitOnline(t, "boiler", false)
	s.Await(t, "boiler", adapters.ConnectivityShadow, "exception(11)", func(doc map[string]any) bool {
		q, _ := doc["quality"].(map[string]any)
		return q["water"] == "exception(11)"
	})
	server.FailAll(1, 0)
	s.AwaitOnline(t, "boiler", true)
}

// TestL2_DeadConverter: a converter that has died without a word shows by
// silence alone, and gets another connection.
func TestL2_DeadConverter(t *testing.T) {
	t.Parallel()
	server := modbustest.MustServeRTU(t)
	s := MustRun(t, modbus.Buses{"line": {Type: modbus.RTUTCP, Host: server.Addr(), Gap: milliseconds(0)}}, nil)
	for range 12 {
		_, err := s.buses["line"].Exchange(t.Context(), modbus.Request{Unit: 9, Table: "input", Count: 1, Timeout: 5 * time.Millisecond})
		if !errors.Is(err, modbus.ErrTimeout) {
			t.Fatal(err)
		}
	}
	if _, all := server.Sessions(); all != 2 {
		t.Errorf("%d connections, want a second after ten silences", all)
	}
}
