package modbus_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"edgeshadow/adapters"
	"edgeshadow/adapters/modbus"
	"edgeshadow/adapters/port"
	"edgeshadow/test/modbustest"
	"edgeshadow/test/ptytest"
)

func milliseconds(n int) *time.Duration {
	d := time.Duration(n) * time.Millisecond
	return &d
}

// overLine is a bus on a line, fast for a test.
func overLine(l *ptytest.Line) modbus.Buses {
	return modbus.Buses{"line": {
		Type: modbus.RTU, Port: l.Path(), Line: port.Line{Baud: 115200, Bits: 8, Parity: 'N', Stop: 1},
		Timeout: 100 * time.Millisecond, Gap: milliseconds(2),
	}}
}

// meter is a thing of one unit with two blocks of points.
func meter(bus string, unit int, interval time.Duration) adapters.Thing {
	return adapters.Thing{Bus: bus, Unit: &unit, Every: interval, OfflineAfter: time.Minute, Points: map[string]adapters.Point{
		"power": {At: "input:0", Type: "uint16"},
		"limit": {At: "holding:100", Type: "uint16", Write: true},
	}}
}

func fill(s *modbustest.Server, units int) {
	for n := 1; n <= units; n++ {
		s.SetInput(byte(n), 0, uint16(100+n))
		s.SetHolding(byte(n), 100, 7)
	}
}

// TestL1_DeadUnitsDoNotSlowTheOthers: ten units on a line, three of them dead,
// beside the same seven alone on another line.
func TestL1_DeadUnitsDoNotSlowTheOthers(t *testing.T) {
	const interval = 100 * time.Millisecond
	poll := func(units ...int) (*modbustest.Server, *site) {
		server, line := modbustest.MustServeLine(t)
		fill(server, 10)
		for _, dead := range []byte{3, 5, 8} {
			server.Dead(dead, true)
		}
		things := adapters.Things{}
		for _, n := range units {
			things[fmt.Sprint("unit", n)] = meter("line", n, interval)
		}
		return server, MustRun(t, overLine(line), things)
	}
	live := []int{1, 2, 4, 6, 7, 9, 10}
	alone, _ := poll(live...)
	mixed, s := poll(1, 2, 3, 4, 5, 6, 7, 8, 9, 10)
	for _, n := range live {
		s.AwaitValue(t, fmt.Sprint("unit", n), "power", num(fmt.Sprint(100+n)))
	}
	for _, n := range []int{3, 5, 8} { // found dead, each of its points told
		s.Await(t, fmt.Sprint("unit", n), adapters.ConnectivityShadow, "offline or silent", func(map[string]any) bool {
			return s.buses["line"].Stats().Units[n-1].Breaker == "open" || s.Stats()[0].Units[n-1].Errors > 0
		})
	}
	alone.ClearLog()
	mixed.ClearLog()
	time.Sleep(40 * interval)
	answered := func(s *modbustest.Server) (n int) {
		for _, r := range s.Log() {
			if slices.Contains(live, int(r.Unit)) {
				n++
			}
		}
		return n
	}
	with, without := answered(mixed), answered(alone)
	t.Logf("requests to the seven: %d beside three dead units, %d alone", with, without)
	if with*10 < without*9 {
		t.Errorf("the seven get %d requests beside three dead units and %d alone: less than nine tenths", with, without)
	}

	// One that comes back is found.
	mixed.Dead(5, false)
	s.AwaitValue(t, "unit5", "power", num("105"))
}

// TestL3_WritesFirst: on a bus that polls without a pause a write waits for the
// request that is on the wire, and for nothing else; what was read before it
// does not come after it.
func TestL3_WritesFirst(t *testing.T) {
	t.Parallel()
	server := modbustest.MustServe(t)
	fill(server, 4)
	server.Turn(func(k *modbustest.Knobs) { k.Delay = 5 * time.Millisecond })
	things := adapters.Things{}
	for n := 1; n <= 4; n++ {
		things[fmt.Sprint("unit", n)] = meter("plc", n, 10*time.Millisecond) // 8 requests of 5 ms each 10 ms
	}
	s := MustRun(t, tcp(server), things)
	s.AwaitValue(t, "unit4", "limit", num("7"))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	const writes = 20
	late := 0
	for i := range writes {
		server.ClearLog()
		asked := time.Now()
		s.Actuate("unit4", "", map[string]any{"limit": num(fmt.Sprint(1000 + i))})
		w, err := server.AwaitRequest(ctx, modbustest.Request.Write)
		if err != nil {
			t.Fatal(err)
		}
		before := 0
		for _, r := range server.Log() {
			// 2 ms: that is not yet on the wire when it is asked for.
			if !r.Write() && r.Time.After(asked.Add(2*time.Millisecond)) && r.Time.Before(w.Time) {
				before++
			}
		}
		if before > 1 {
			late++
		}
		s.AwaitValue(t, "unit4", "limit", num(fmt.Sprint(1000+i)))
	}
	// A busy machine may hold up the test itself now and then; behind the polls
	// of a cycle each write would come.
	if late > writes/4 {
		t.Errorf("%d of %d writes waited for more than the poll on the wire", late, writes)
	}
}

// TestL3_StaleReadDoesNotOverwrite: a poll that was read before a write does not
// report after it: reported goes from the old value to the new and not back.
func TestL3_StaleReadDoesNotOverwrite(t *testing.T) {
	t.Parallel()
	server := modbustest.MustServe(t)
	fill(server, 1)
	server.Turn(func(k *modbustest.Knobs) { k.Delay = time.Millisecond })
	s := MustRun(t, tcp(server), adapters.Things{"unit1": meter("plc", 1, 10*time.Millisecond)})
	s.AwaitValue(t, "unit1", "limit", num("7"))
	for i := range 50 {
		want := num(fmt.Sprint(100 + i))
		s.Actuate("unit1", "", map[string]any{"limit": want})
		s.AwaitValue(t, "unit1", "limit", want)
		time.Sleep(3 * time.Millisecond) // polls go on
		if got := s.Get("unit1", "")["limit"]; got != want {
			t.Fatalf("after %s was written and read back: %v", want, got)
		}
	}
}

// TestL4_SilenceBetweenFrames: the server sees the gap between its answer and
// the next request, by configuration and by the line's speed.
func TestL4_SilenceBetweenFrames(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*modbus.Config)
		least  time.Duration
	}{
		"Gap":       {func(c *modbus.Config) { c.Gap = milliseconds(15) }, 15 * time.Millisecond},
		"Default":   {func(c *modbus.Config) { c.Gap = nil }, 20 * time.Millisecond},
		"LineSpeed": {func(c *modbus.Config) { c.Gap, c.Line.Baud = milliseconds(0), 2400 }, 3500 * 10 * time.Millisecond / 2400},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, line := modbustest.MustServeLine(t)
			fill(server, 2)
			buses := overLine(line)
			cfg := buses["line"]
			c.change(&cfg)
			buses["line"] = cfg
			MustRun(t, buses, adapters.Things{"a": meter("line", 1, 10*time.Millisecond), "b": meter("line", 2, 10*time.Millisecond)})
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			if err := server.AwaitRequests(ctx, 12); err != nil {
				t.Fatal(err)
			}
			log := server.Log()
			for i := 1; i < len(log); i++ {
				if gap := log[i].Time.Sub(log[i-1].Time); gap < c.least {
					t.Errorf("%s after %s, want %s at least", gap, log[i-1], c.least)
				}
			}
		})
	}
}

// TestL8_StaleAndForeignFrames: late answers, noise, frames of other units and
// wrong functions are dropped and counted; no value is ever another's, and the
// port stays open.
func TestL8_StaleAndForeignFrames(t *testing.T) {
	t.Parallel()
	start := map[string]func(t *testing.T) (*modbustest.Server, modbus.Buses){
		"Line": func(t *testing.T) (*modbustest.Server, modbus.Buses) {
			server, line := modbustest.MustServeLine(t)
			return server, overLine(line)
		},
		"RTUoverTCP": func(t *testing.T) (*modbustest.Server, modbus.Buses) {
			server := modbustest.MustServeRTU(t)
			return server, modbus.Buses{"line": {Type: modbus.RTUTCP, Host: server.Addr(), Timeout: 100 * time.Millisecond, Gap: milliseconds(1)}}
		},
	}
	for name, begin := range start {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, buses := begin(t)
			things := adapters.Things{}
			for n := range 4 { // values that tell where they come from
				server.SetInput(1, uint16(100*n), uint16(1000+n))
			}
			unit := 1
			points := map[string]adapters.Point{}
			for n := range 4 {
				points[fmt.Sprint("p", n)] = adapters.Point{At: adapters.Address(fmt.Sprint("input:", 100*n)), Type: "uint16"}
			}
			things["d"] = adapters.Thing{Bus: "line", Unit: &unit, Every: 10 * time.Millisecond, OfflineAfter: time.Minute, Points: points}
			s := MustRun(t, buses, things)
			for round := range 12 {
				server.Turn(func(k *modbustest.Knobs) {
					switch round % 5 {
					case 0:
						k.Garbage = 1
					case 1:
						k.Foreign = 3
					case 2:
						k.Wrong = 1
					case 3:
						k.Late = 1
					case 4:
						k.Drop = 1
					}
				})
				// A new value says that the bus is in step again.
				for n := range 4 {
					server.SetInput(1, uint16(100*n), uint16(2000+10*round+n))
				}
				for n := range 4 {
					s.AwaitValue(t, "d", fmt.Sprint("p", n), num(fmt.Sprint(2000+10*round+n)))
				}
				for n := range 4 {
					got := fmt.Sprint(s.Get("d", "")[fmt.Sprint("p", n)])
					if got[len(got)-1] != byte('0'+n) {
						t.Fatalf("p%d = %s: the value of another point", n, got)
					}
				}
			}
			st := s.buses["line"].Stats()
			if st.Sessions != 1 || st.Discarded == 0 {
				t.Errorf("%d sessions and %d discarded, want one session that counts", st.Sessions, st.Discarded)
			}
		})
	}
}

// TestL8_LateAnswerOverTCP: the transaction id tells a late answer, and the
// session stays.
func TestL8_LateAnswerOverTCP(t *testing.T) {
	t.Parallel()
	server := MustServeBoiler(t)
	buses := tcp(server)
	cfg := buses["plc"]
	cfg.Timeout = 50 * time.Millisecond
	buses["plc"] = cfg
	s := MustRun(t, buses, boiler())
	s.AwaitValue(t, "boiler", "water", num("21.5"))
	for i := range 5 {
		server.Turn(func(k *modbustest.Knobs) { k.Late = 1 })
		server.SetInput(1, 0, uint16(300+i))
		server.SetHolding(1, 11, uint16(500+10*i))
		s.AwaitValue(t, "boiler", "water", num(fmt.Sprint(adapters.Point{Scale: decimal("0.1")}.ScaleInt(int64(300+i)))))
		s.AwaitValue(t, "boiler", "setpoint", num(fmt.Sprint(50+i)))
	}
	if st := s.buses["plc"].Stats(); st.Discarded == 0 {
		t.Errorf("stats = %+v, want late answers counted", st)
	}
}

// TestL9_OneSession: all units behind a host share one session, and a server
// that takes no second one serves them all, also after a cut.
func TestL9_OneSession(t *testing.T) {
	t.Parallel()
	server := modbustest.MustServe(t)
	fill(server, 5)
	server.Turn(func(k *modbustest.Knobs) { k.Sessions = 1 })
	things := adapters.Things{}
	for n := 1; n <= 5; n++ {
		things[fmt.Sprint("unit", n)] = meter("plc", n, every)
	}
	s := MustRun(t, tcp(server), things)
	for n := 1; n <= 5; n++ {
		s.AwaitValue(t, fmt.Sprint("unit", n), "power", num(fmt.Sprint(100+n)))
	}
	if now, all := server.Sessions(); now != 1 || all != 1 {
		t.Errorf("%d sessions, %d in all, want 1", now, all)
	}
	for round := range 3 { // a reset in the middle of an answer
		server.Turn(func(k *modbustest.Knobs) { k.Reset = 1 })
		server.SetInput(1, 0, uint16(500+round))
		s.AwaitValue(t, "unit1", "power", num(fmt.Sprint(500+round)))
	}
	if now, _ := server.Sessions(); now != 1 {
		t.Errorf("%d sessions at the end, want 1", now)
	}
	if st := s.buses["plc"].Stats(); st.Sessions < 2 {
		t.Errorf("%d sessions after three resets", st.Sessions)
	}
}

// TestL2_PulledPlug: the port is let go of at once, and found again under its
// path; nothing is restarted.
func TestL2_PulledPlug(t *testing.T) {
	t.Parallel()
	server, line := modbustest.MustServeLine(t)
	fill(server, 1)
	m := meter("line", 1, every)
	m.OfflineAfter = 200 * time.Millisecond
	s := MustRun(t, overLine(line), adapters.Things{"m": m})
	s.AwaitValue(t, "m", "power", num("101"))
	for round := range 2 {
		line.Unplug()
		s.AwaitOnline(t, "m", false)
		if st := s.buses["line"].Stats(); st.Connected || st.Err == "" {
			t.Errorf("stats while unplugged = %+v", st)
		}
		server.SetInput(1, 0, uint16(200+round))
		if err := line.Plug(); err != nil {
			t.Fatal(err)
		}
		server.Attach(line)
		s.AwaitOnline(t, "m", true)
		s.AwaitValue(t, "m", "power", num(fmt.Sprint(200+round)))
	}
}
