package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"edgeshadow/adapters/modbus"
	"edgeshadow/config"
)

// emitFlag adds --emit yaml.
func emitFlag(c *cobra.Command) *string {
	return c.Flags().String("emit", "", "yaml: print what belongs into the configuration")
}

func checkEmit(c *cobra.Command, emit string) error {
	if emit != "" && emit != "yaml" {
		return usageError{fmt.Errorf("--emit %s: there is yaml", emit), c.CommandPath()}
	}
	return nil
}

// scanned is a unit that was heard.
type scanned struct {
	Unit int    `json:"unit"`
	Says string `json:"says"` // to the first request that it answered
}

func modbusScanCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "scan TARGET",
		Short: "Find the units that answer on a bus",
		Long: `Find the units that answer on a bus. Each is asked for holding:0, and then for input:0: whoever answers, be it with an
exception, is there. A line is found at the speed of its silent units: 247 of them at 200 ms are 50 s.`,
		Args: cobra.ExactArgs(1),
	}
	target, asJSON, emit := addTargetFlags(c, 200*time.Millisecond), jsonFlag(c), emitFlag(c)
	units := c.Flags().String("units", "1-247", "which to ask: 1-247, or 1,5,10-20")
	c.RunE = func(c *cobra.Command, args []string) error {
		ids, err := parseUnits(*units)
		if err := errors.Join(err, checkEmit(c, *emit)); err != nil {
			return usageError{err, c.CommandPath()}
		}
		ex, done, err := target.open(c.Context(), args[0])
		if err != nil {
			return err
		}
		defer done()
		found := []scanned{}
		for _, id := range ids {
			says, err := askUnit(c.Context(), ex, id, *target.timeout)
			if err != nil {
				return fmt.Errorf("scan %s: unit %d: %w", args[0], id, err)
			}
			if says != "" {
				found = append(found, scanned{int(id), says})
			}
		}
		return printScanned(c.OutOrStdout(), args[0], found, *asJSON, *emit)
	}
	return c
}

// askUnit is what a unit says to the first request that it answers; "": nothing.
func askUnit(ctx context.Context, ex exchanger, unit byte, timeout time.Duration) (string, error) {
	for _, table := range []string{"holding", "input"} {
		words, err := ex.Exchange(ctx, modbus.Request{Unit: unit, Table: table, Count: 1, Timeout: timeout})
		switch {
		case err == nil:
			return fmt.Sprintf("%s:0 = %d", table, words[0]), nil
		case errors.Is(err, modbus.ErrException):
			// A converter speaks for units that it does not reach.
			if text := err.Error(); !strings.Contains(text, "gateway") {
				return table + ":0: " + text, nil
			}
		case !errors.Is(err, modbus.ErrTimeout):
			return "", err
		default:
			return "", nil // who is silent once is silent
		}
	}
	return "", nil
}

func printScanned(w io.Writer, target string, found []scanned, asJSON bool, emit string) error {
	switch {
	case asJSON:
		return printJSON(w, found)
	case emit == "yaml":
		fmt.Fprintln(w, "things:")
		for _, f := range found {
			fmt.Fprintf(w, "  unit-%d: # %s\n    bus: %s\n    unit: %d\n    points: {} # edgeshadow modbus guess, or template: NAME\n", f.Unit, f.Says, target, f.Unit)
		}
		return nil
	case len(found) == 0:
		fmt.Fprintln(w, "no unit answers")
		return quietError{}
	}
	rows := [][]string{{"UNIT", "SAYS"}}
	for _, f := range found {
		rows = append(rows, []string{strconv.Itoa(f.Unit), f.Says})
	}
	return table(w, rows...)
}

// parseUnits reads 1,5,10-20.
func parseUnits(text string) ([]byte, error) {
	var ids []byte
	for part := range strings.SplitSeq(text, ",") {
		first, last, ranged := strings.Cut(part, "-")
		if !ranged {
			last = first
		}
		from, err := strconv.ParseUint(first, 10, 8)
		to, err2 := strconv.ParseUint(last, 10, 8)
		if err != nil || err2 != nil || from > to {
			return nil, fmt.Errorf("--units %s: write 1-247, or 1,5,10-20", text)
		}
		for id := from; id <= to; id++ {
			ids = append(ids, byte(id))
		}
	}
	return ids, nil
}

func modbusGuessCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "guess TARGET AT VALUE",
		Short: "Find how a device holds a value that you can see on its display",
		Long: `Find how a device holds a value that you can see on its display: every type, order, scale and the addresses beside AT
are tried, and those that come near VALUE are shown, the nearest first.`,
		Args: cobra.ExactArgs(3),
	}
	target, asJSON, emit := addTargetFlags(c, time.Second), jsonFlag(c), emitFlag(c)
	most := c.Flags().Int("most", 10, "show at most so many")
	c.RunE = func(c *cobra.Command, args []string) error {
		expected, err := strconv.ParseFloat(args[2], 64)
		if err != nil {
			return usageError{fmt.Errorf("%q is no number", args[2]), c.CommandPath()}
		}
		if err := checkEmit(c, *emit); err != nil {
			return err
		}
		p, err := placeFlags{new(string), new(string), new(string), new(int)}.place(args[1])
		if err != nil {
			return err
		}
		ex, done, err := target.open(c.Context(), args[0])
		if err != nil {
			return err
		}
		defer done()
		from, words, err := around(c.Context(), ex, *target.unit, p, *target.timeout)
		if err != nil {
			return err
		}
		found := modbus.MakeGuesses(p.Table(), from, words, expected)
		return printGuesses(c.OutOrStdout(), found[:min(len(found), *most)], *asJSON, *emit)
	}
	return c
}

// around reads a register, the one before it and what a long value after it
// takes, as far as they exist.
func around(ctx context.Context, ex exchanger, unit byte, p modbus.Place, timeout time.Duration) (from uint16, words []uint16, err error) {
	first := max(int(p.Addr())-1, 0)
	for addr := first; addr < min(int(p.Addr())+5, 0x10000); addr++ {
		w, readErr := ex.Exchange(ctx, modbus.Request{Unit: unit, Table: p.Table(), Addr: uint16(addr), Count: 1, Timeout: timeout})
		switch {
		case readErr == nil:
			words = append(words, w[0])
		case !errors.Is(readErr, modbus.ErrException) || addr == int(p.Addr()):
			return 0, nil, fmt.Errorf("read %s:%d of unit %d: %w", p.Table(), addr, unit, readErr)
		case addr < int(p.Addr()):
			first = addr + 1
		default:
			return uint16(first), words, nil
		}
	}
	return uint16(first), words, nil
}

func printGuesses(w io.Writer, found []modbus.Guess, asJSON bool, emit string) error {
	switch {
	case asJSON:
		return printJSON(w, found)
	case len(found) == 0:
		fmt.Fprintln(w, "nothing near it; is it another table, or does the value move?")
		return quietError{}
	case emit == "yaml":
		g := found[0]
		fmt.Fprintf(w, "value: {at: %q, type: %s", g.At, g.Type)
		if g.Order != "" {
			fmt.Fprintf(w, ", order: %s", g.Order)
		}
		if g.Scale != "" {
			fmt.Fprintf(w, ", scale: %s", g.Scale)
		}
		fmt.Fprintf(w, "} # %s\n", g.Value)
		return nil
	}
	rows := [][]string{{"AT", "TYPE", "ORDER", "SCALE", "VALUE", "OFF"}}
	for _, g := range found {
		rows = append(rows, []string{g.At, g.Type, g.Order, g.Scale, g.Value, fmt.Sprintf("%.2f%%", 100*g.Off)})
	}
	return table(w, rows...)
}

// planned is the plan of one bus.
type planned struct {
	Bus      string           `json:"bus"`
	Load     float64          `json:"load"` // part of a line's time; 0 over a network
	Requests []modbus.Planned `json:"requests"`
}

func modbusPlanCommand() *cobra.Command {
	c := &cobra.Command{Use: "plan [BUS]", Short: "Show the requests that the configuration makes, and how busy they keep a line", Args: cobra.MaximumNArgs(1)}
	path, asJSON := configFlag(c), jsonFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		cfg, err := config.Load(*path)
		if err != nil {
			return faulty(c, err)
		}
		plans := []planned{}
		for _, name := range slices.Sorted(maps.Keys(cfg.Buses)) {
			if len(args) == 0 || args[0] == name {
				requests, load := cfg.Buses.Plan(name, cfg.Things.Field())
				plans = append(plans, planned{name, load, requests})
			}
		}
		if len(plans) == 0 && len(args) > 0 {
			return fmt.Errorf("no bus %s in %s", args[0], *path)
		}
		if *asJSON {
			return printJSON(c.OutOrStdout(), plans)
		}
		return printPlans(c.OutOrStdout(), plans)
	}
	return c
}

func printPlans(w io.Writer, plans []planned) error {
	rows := [][]string{{"BUS", "UNIT", "EVERY", "REQUEST", "COUNT", "TIME", "POINTS"}}
	for _, p := range plans {
		for _, r := range p.Requests {
			took := ""
			if r.Time > 0 {
				took = r.Time.Round(100 * time.Microsecond).String()
			}
			points := strings.Join(r.Points[:min(len(r.Points), 3)], " ")
			if more := len(r.Points) - 3; more > 0 {
				points += fmt.Sprintf(" and %d more", more)
			}
			rows = append(rows, []string{
				p.Bus, strconv.Itoa(r.Unit), r.Every.String(), fmt.Sprintf("%s:%d", r.Table, r.Addr), strconv.Itoa(r.Count), took, points,
			})
		}
	}
	if err := table(w, rows...); err != nil {
		return err
	}
	for _, p := range plans {
		if p.Load > 0 {
			fmt.Fprintf(w, "%s: busy %.0f%% of its time, the devices' own not counted\n", p.Bus, 100*p.Load)
		}
		if p.Load > 1 {
			fmt.Fprintf(w, "%s: that is more than there is; raise every, or the line's speed\n", p.Bus)
		}
	}
	return nil
}
