package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"edgeshadow/adapters"
	"edgeshadow/bridge"
	"edgeshadow/cmd/console"
)

func statusCommand() *cobra.Command {
	c := &cobra.Command{Use: "status", Short: "Uplink, sync, adapters, clients and disk at a glance", Args: cobra.NoArgs}
	asJSON := jsonFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		s, err := client().Status(c.Context())
		if err != nil {
			return err
		}
		if *asJSON {
			return printJSON(c.OutOrStdout(), s)
		}
		return printStatus(c.OutOrStdout(), s)
	}
	return c
}

func printStatus(w io.Writer, s console.Status) error {
	fmt.Fprintf(w, "gateway  %s, edgeshadow %s, up %s, boot %d\n", s.Thing, s.Version, s.Uptime, s.Boot)
	fmt.Fprintf(w, "listen   %s\n", strings.Join(s.Listeners, ", "))
	fmt.Fprintf(w, "clients  %d connected, %d messages in, %d out, %d dropped, %d refused\n",
		s.Clients.Clients, s.Clients.Received, s.Clients.Sent, s.Clients.Dropped, s.Clients.Refused)
	if s.Access.Denied > 0 {
		fmt.Fprintf(w, "access   %d refusals; edgeshadow access denied tells them\n", s.Access.Denied)
	}
	printUplink(w, s)
	printRelay(w, s.Relay)
	printStore(w, s)
	if s.Clock != "" {
		fmt.Fprintf(w, "clock    %s\n", strings.TrimPrefix(s.Clock, "clock "))
	}
	fmt.Fprintf(w, "memory   %s", bytesText(int64(s.MemoryBytes)))
	if s.MemoryLimit > 0 {
		fmt.Fprintf(w, ", tries to stay below %s", bytesText(s.MemoryLimit))
	}
	fmt.Fprintln(w)
	for _, b := range s.Buses {
		printBus(w, b)
	}
	if len(s.Things) > 0 {
		fmt.Fprintln(w)
		if err := glance(w, thingRows(s.Things), "edgeshadow thing list"); err != nil {
			return err
		}
	}
	if len(s.Unsynced) > 0 {
		fmt.Fprintln(w)
		return glance(w, syncRows(s.Unsynced), "edgeshadow sync status")
	}
	return nil
}

// glance is the beginning of a table, and where the rest of it is.
func glance(w io.Writer, rows [][]string, all string) error {
	const most = 50
	more := len(rows) - 1 - most // the heading is none
	if err := table(w, rows[:min(len(rows), 1+most)]...); err != nil || more <= 0 {
		return err
	}
	_, err := fmt.Fprintf(w, "… and %d more: %s\n", more, all)
	return err
}

// printUplink tells how the uplink is, since when and why, what it costs, and
// how the shadows stand.
func printUplink(w io.Writer, s console.Status) {
	u := s.Uplink
	if u == nil {
		fmt.Fprintln(w, "uplink   none configured")
		return
	}
	fmt.Fprintf(w, "uplink   %s since %s", u.State, u.Since.Local().Format(time.DateTime))
	if u.Why != "" {
		fmt.Fprintf(w, ": %s (%d failures)", u.Why, u.Failures)
	}
	fmt.Fprintln(w)
	if u.Hint != "" {
		fmt.Fprintf(w, "         hint: %s\n", u.Hint)
	}
	if t := s.Traffic; t != nil {
		fmt.Fprintf(w, "traffic  %s up, %s down in the last day", bytesText(t.UpDay), bytesText(t.DownDay))
		if t.Month != nil {
			fmt.Fprintf(w, "; a month of such days: %s", bytesText(*t.Month))
		}
		fmt.Fprintln(w)
	}
	if y := s.Sync; y != nil {
		dirty, held := 0, 0
		for _, sh := range s.Unsynced {
			switch sh.State {
			case "forbidden", "oversize", "rejected":
				held++
			default:
				dirty++
			}
		}
		fmt.Fprintf(w, "sync     %d shadows: %d dirty, %d held; %d conflicts, %d gets, %d pushes\n",
			y.Shadows, dirty, held, y.Conflicts, y.Gets, y.Pushes)
		printBudget(w, y.Budget)
	}
}

// printBudget tells what the uplink cost, where a budget is configured.
func printBudget(w io.Writer, b bridge.BudgetStatus) {
	if b.BytesPerDay == 0 && b.OpsPerDay == 0 {
		return
	}
	fmt.Fprintf(w, "budget   %.0f%% used in the last day:", 100*b.Used)
	if b.BytesPerDay > 0 {
		fmt.Fprintf(w, " %s of %s (a day like the last hours: %s)", bytesText(b.Bytes), bytesText(b.BytesPerDay), bytesText(b.BytesForecast))
	}
	if b.OpsPerDay > 0 {
		fmt.Fprintf(w, " %d of %d requests (%d)", b.Ops, b.OpsPerDay, b.OpsForecast)
	}
	fmt.Fprintf(w, "; a shadow is pushed every %v at most\n", time.Duration(b.Window*float64(time.Second)).Round(time.Millisecond))
}

// printStore tells of the store, its disk, and what is wrong with either.
func printStore(w io.Writer, s console.Status) {
	st := s.Store
	fmt.Fprintf(w, "store    %s, durability %s, %s; disk %s free", st.Path, st.Durability, bytesText(st.Size), bytesText(int64(st.DiskFree)))
	if st.Commits > 0 {
		fmt.Fprintf(w, "; %d commits of %v", st.Commits, (st.CommitTime / time.Duration(st.Commits)).Round(10*time.Microsecond))
	}
	fmt.Fprintln(w)
	switch {
	case st.Error != "":
		fmt.Fprintf(w, "         FAILED: %s\n", st.Error)
	case st.DiskFull:
		fmt.Fprintf(w, "         DISK FULL: writes are refused below %s free\n", bytesText(int64(st.DiskNeed)))
	case s.Held.Why != "":
		fmt.Fprintf(w, "         %s\n", s.Held.Why)
	}
	if st.Unmerged != "" {
		fmt.Fprintf(w, "         it grows: its tables can't be merged (%s)\n", st.Unmerged)
	}
	if st.Quarantined != "" {
		fmt.Fprintf(w, "         it was damaged (%s), is set aside as %s, and began empty\n", st.Reason, st.Quarantined)
	} else if len(st.SetAside) > 0 {
		fmt.Fprintf(w, "         set aside earlier: %s\n", strings.Join(st.SetAside, ", "))
	}
}

// bytesText is a number of bytes for people.
func bytesText(n int64) string {
	const unit = 1024
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	value, names := float64(n)/unit, "KMGT"
	for value >= unit && len(names) > 1 {
		value, names = value/unit, names[1:]
	}
	return fmt.Sprintf("%.1f %ciB", value, names[0])
}

// printBus tells what a driver does: requests where it asks, frames where it
// listens.
func printBus(w io.Writer, b adapters.BusStats) {
	state := "connected"
	if !b.Connected {
		state = "not connected"
	}
	fmt.Fprintf(w, "bus      %s %s %s, %s", b.Bus, b.Type, b.Address, state)
	if b.Requests > 0 || b.Frames == 0 {
		fmt.Fprintf(w, ", %.0f%% busy, %d requests, %d errors, %d exceptions", 100*b.Utilisation, b.Requests, b.Errors, b.Exceptions)
	}
	if b.Frames > 0 {
		fmt.Fprintf(w, ", %d frames, %d stray bytes", b.Frames, b.SkippedBytes)
	}
	if b.Err != "" {
		fmt.Fprintf(w, ": %s", b.Err)
	}
	fmt.Fprintln(w)
	for _, r := range b.Radios {
		fmt.Fprintf(w, "radio    %s %s, %s, %.0f advertisements a minute", r.Name, r.Address, r.State, r.PerMinute)
		if n := r.Restarts + r.PowerCycles + r.Lost; n > 0 {
			fmt.Fprintf(w, "; %d restarts, %d power cycles, %d times bluetoothd was lost", r.Restarts, r.PowerCycles, r.Lost)
		}
		fmt.Fprintln(w)
	}
}
