package modbus_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"edgeshadow/adapters"
	"edgeshadow/adapters/modbus"
	"edgeshadow/test/modbustest"
	"edgeshadow/test/ptytest"
)

// blocks is a thing with 1,000 holding registers in 20 blocks of 50, and gap
// registers between two.
func blocks(bus string, interval time.Duration, gap int) adapters.Thing {
	points := map[string]adapters.Point{}
	for b := range 20 {
		for r := range 50 {
			at := fmt.Sprintf("holding:%d", b*(50+gap)+r)
			points[fmt.Sprintf("b%02d.r%02d", b, r)] = adapters.Point{At: adapters.Address(at), Type: "uint16"}
		}
	}
	unit := 1
	return adapters.Thing{Bus: bus, Unit: &unit, Every: interval, OfflineAfter: time.Minute, Points: points}
}

// fewest is the least number of requests that cover all registers of blocks,
// by trying each start: a bound that the planner has no part in.
func fewest(gap, maxGap, most int) int {
	best := make([]int, 21) // requests for the first n blocks
	for n := 1; n <= 20; n++ {
		best[n] = best[n-1] + 1
		for from := n - 1; from >= 0; from-- {
			if span := (n-from)*50 + (n-from-1)*gap; span <= most && (gap <= maxGap || n-from == 1) {
				best[n] = min(best[n], best[from]+1)
			}
		}
	}
	return best[20]
}

// TestL5_ReadsInBlocks: as few requests as the limits allow, seen at the server.
func TestL5_ReadsInBlocks(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ gap, want int }{
		"Apart":    {20, fewest(20, 8, 125)},
		"NearBy":   {8, fewest(8, 8, 125)},
		"Adjacent": {0, 1000 / 125},
	} {
		t.Run(name, func(t *testing.T) {
			server := modbustest.MustServe(t)
			server.SetHolding(1, 0, make([]uint16, 20*(50+c.gap))...)
			things := adapters.Things{"d": blocks("plc", 100*time.Millisecond, c.gap)}
			plan, _ := tcp(server).Plan("plc", things)
			if len(plan) != c.want {
				t.Errorf("%d requests planned, want %d", len(plan), c.want)
			}
			MustRun(t, tcp(server), things)
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			if err := server.AwaitRequests(ctx, 3*c.want); err != nil {
				t.Fatal(err)
			}
			counts := map[string]int{}
			for _, r := range server.Log()[:3*c.want] {
				counts[r.String()]++
			}
			if len(counts) != c.want {
				t.Errorf("%d different requests, want %d each cycle: %v", len(counts), c.want, counts)
			}
			for r, n := range counts {
				if n != 3 {
					t.Errorf("%s was sent %d times in three cycles", r, n)
				}
			}
		})
	}
}

// TestL5_RemembersHoles: registers that do not exist are found once, and cost
// no good point its value and nobody a failing request in each cycle.
func TestL5_RemembersHoles(t *testing.T) {
	t.Parallel()
	server := modbustest.MustServe(t)
	server.SetHolding(1, 0, 10, 11, 12)
	server.SetHolding(1, 5, 15, 16) // 3 and 4 do not exist, and nobody asks for them
	server.SetHolding(1, 8, 18)     // 7 does not exist, and a point asks for it
	server.SetHolding(1, 9, 19)
	points := map[string]adapters.Point{}
	for _, n := range []int{0, 1, 2, 5, 6, 7, 8, 9} {
		points[fmt.Sprint("r", n)] = adapters.Point{At: adapters.Address(fmt.Sprint("holding:", n)), Type: "uint16"}
	}
	unit := 1
	things := adapters.Things{"d": {Bus: "plc", Unit: &unit, Every: 20 * time.Millisecond, OfflineAfter: time.Minute, Points: points}}
	s := MustRun(t, tcp(server), things)
	for _, n := range []int{0, 1, 2, 5, 6, 8, 9} {
		s.AwaitValue(t, "d", fmt.Sprint("r", n), num(fmt.Sprint(10+n)))
	}
	s.Await(t, "d", adapters.ConnectivityShadow, "r7 exception 2", func(doc map[string]any) bool {
		q, _ := doc["quality"].(map[string]any)
		return q["r7"] == "exception(2)"
	})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := server.AwaitRequests(ctx, 40); err != nil { // the search is over
		t.Fatal(err)
	}
	server.ClearLog()
	if err := server.AwaitRequests(ctx, 40); err != nil {
		t.Fatal(err)
	}
	kinds := map[string]bool{}
	for _, r := range server.Log() {
		kinds[r.String()] = true
	}
	// 0–2, 5–6, 7 alone, 8–9.
	want := []string{"unit 1: 3 holding:0+3", "unit 1: 3 holding:5+2", "unit 1: 3 holding:7+1", "unit 1: 3 holding:8+2"}
	for _, w := range want {
		if !kinds[w] {
			t.Errorf("no request %s among %v", w, kinds)
		}
	}
	if len(kinds) != len(want) {
		t.Errorf("requests %v, want %v", kinds, want)
	}
}

// TestL5_DeviceLimits: the device's own limit, also in bits, and a table's gap.
func TestL5_DeviceLimits(t *testing.T) {
	t.Parallel()
	zero, unit := 0, 1
	thing := adapters.Thing{Bus: "b", Unit: &unit, MaxRegisters: 10, Points: map[string]adapters.Point{}}
	for n := range 40 {
		thing.Points[fmt.Sprint("r", n)] = adapters.Point{At: adapters.Address(fmt.Sprint("input:", n)), Type: "uint16"}
	}
	for n := range 400 {
		thing.Points[fmt.Sprint("c", n)] = adapters.Point{At: adapters.Address(fmt.Sprint("coil:", n))}
	}
	buses := modbus.Buses{"b": {Type: modbus.TCP, Host: "h"}}
	plan, _ := buses.Plan("b", adapters.Things{"t": thing})
	longest := map[string]int{}
	for _, r := range plan {
		longest[r.Table] = max(longest[r.Table], r.Count)
	}
	if longest["input"] != 10 || longest["coil"] != 160 || len(plan) != 4+3 {
		t.Errorf("%d requests, the longest %v; want 7 of 10 registers and 160 bits at most", len(plan), longest)
	}
	thing = adapters.Thing{Bus: "b", Unit: &unit, MaxGap: &zero, Points: map[string]adapters.Point{
		"a": {At: "holding:0", Type: "float32"}, "b": {At: "holding:2", Type: "uint16"}, "c": {At: "holding:4", Type: "uint16"},
		"status": {At: "holding:2", Type: "uint16", Bits: map[string]string{"0": "alarm", "3": "pump"}},
	}}
	plan, _ = buses.Plan("b", adapters.Things{"t": thing})
	if len(plan) != 2 || plan[0].Count != 3 || !slices.Contains(plan[0].Points, "t.status.pump") {
		t.Errorf("plan = %+v, want a, b and the bits together, and c alone", plan)
	}
	line := modbus.Buses{"l": overLine(ptytest.MustOpen(t))["line"]}
	thing.Bus = "l"
	if _, load := line.Plan("l", adapters.Things{"t": thing}); load <= 0 || load > 0.05 {
		t.Errorf("the load of two requests each second is %.3f of the line", load)
	}
}
