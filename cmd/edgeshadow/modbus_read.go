package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"edgeshadow/adapters"
	"edgeshadow/adapters/modbus"
)

// placeFlags are how a value lies at an address.
type placeFlags struct {
	kind, order, scale *string
	length             *int
}

func addPlaceFlags(c *cobra.Command) placeFlags {
	f := c.Flags()
	return placeFlags{
		kind:   f.String("type", "", "bool, int16, uint32, float32, string, …; without it registers are shown as they are"),
		order:  f.String("order", "", "ABCD, CDAB, BADC or DCBA"),
		scale:  f.String("scale", "", "the value is what the device holds times this"),
		length: f.Int("length", 0, "of a string, in bytes"),
	}
}

// place is the place that an argument and the flags name.
func (f placeFlags) place(at string) (modbus.Place, error) {
	p := adapters.Point{At: adapters.Address(at), Type: *f.kind, Order: *f.order, Length: *f.length}
	if *f.scale != "" {
		d, err := adapters.ParseDecimal(*f.scale)
		if err != nil {
			return modbus.Place{}, fmt.Errorf("--scale: %w", err)
		}
		p.Scale = &d
	}
	if p.Type == "" && !isBit(at) {
		p.Type = "uint16"
	}
	return modbus.ParsePlace(p)
}

func isBit(at string) bool { return strings.HasPrefix(at, "coil") || strings.HasPrefix(at, "discrete") }

// shown is one value as read prints it.
type shown struct {
	At    string   `json:"at"`
	Hex   string   `json:"hex"`
	Words []uint16 `json:"words"`
	Value any      `json:"value"` // null: what is there is no value of the type
}

// readPlace reads count values that lie behind one another.
func readPlace(ctx context.Context, ex exchanger, unit byte, p modbus.Place, count int, timeout time.Duration) ([]shown, error) {
	words, err := ex.Exchange(ctx, modbus.Request{
		Unit: unit, Table: p.Table(), Addr: p.Addr(), Count: count * p.Words(), Timeout: timeout,
	})
	if err != nil {
		return nil, fmt.Errorf("read %s:%d of unit %d: %w", p.Table(), p.Addr(), unit, err)
	}
	var out []shown
	for i := range count {
		part := words[i*p.Words():][:p.Words()]
		v, _ := p.Decode(part)
		var hex []string
		for _, w := range part {
			hex = append(hex, fmt.Sprintf("%04x", w))
		}
		out = append(out, shown{fmt.Sprintf("%s:%d", p.Table(), int(p.Addr())+i*p.Words()), strings.Join(hex, " "), part, v})
	}
	return out, nil
}

func printShown(w io.Writer, values []shown) error {
	rows := [][]string{{"AT", "HEX", "VALUE"}}
	for _, v := range values {
		rows = append(rows, []string{v.At, v.Hex, adapters.Describe(v.Value)})
	}
	return table(w, rows...)
}

func modbusReadCommand() *cobra.Command {
	c := &cobra.Command{Use: "read TARGET AT [COUNT]", Short: "Read values, one after the other from an address on", Args: cobra.RangeArgs(2, 3)}
	target, how, asJSON := addTargetFlags(c, time.Second), addPlaceFlags(c), jsonFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		p, err := how.place(args[1])
		if err != nil {
			return err
		}
		count := 1
		if len(args) == 3 {
			if count, err = strconv.Atoi(args[2]); err != nil || count < 1 {
				return usageError{fmt.Errorf("%q is no count", args[2]), c.CommandPath()}
			}
		}
		ex, done, err := target.open(c.Context(), args[0])
		if err != nil {
			return err
		}
		defer done()
		values, err := readPlace(c.Context(), ex, *target.unit, p, count, *target.timeout)
		if err != nil {
			return err
		}
		if *asJSON {
			return printJSON(c.OutOrStdout(), values)
		}
		return printShown(c.OutOrStdout(), values)
	}
	return c
}

func modbusWriteCommand() *cobra.Command {
	c := &cobra.Command{Use: "write TARGET AT VALUE", Short: "Write a value, read it back and show what the device holds", Args: cobra.ExactArgs(3)}
	target, how, asJSON := addTargetFlags(c, time.Second), addPlaceFlags(c), jsonFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		p, err := how.place(args[1])
		if err != nil {
			return err
		}
		words, err := p.Encode(written(args[2], *how.kind))
		if err != nil {
			return fmt.Errorf("write %s: %w", args[2], err)
		}
		ex, done, err := target.open(c.Context(), args[0])
		if err != nil {
			return err
		}
		defer done()
		request := modbus.Request{Unit: *target.unit, Table: p.Table(), Addr: p.Addr(), Values: words, Timeout: *target.timeout}
		if _, err := ex.Exchange(c.Context(), request); err != nil {
			return fmt.Errorf("write %s:%d of unit %d: %w", p.Table(), p.Addr(), *target.unit, err)
		}
		values, err := readPlace(c.Context(), ex, *target.unit, p, 1, *target.timeout)
		if err != nil {
			return err
		}
		if *asJSON {
			return printJSON(c.OutOrStdout(), values)
		}
		return printShown(c.OutOrStdout(), values)
	}
	return c
}

// written is a value as it stands on the command line.
func written(text, kind string) any {
	switch {
	case kind == "string":
		return text
	case text == "true" || text == "on":
		return true
	case text == "false" || text == "off":
		return false
	}
	return json.Number(text)
}

func modbusWatchCommand() *cobra.Command {
	c := &cobra.Command{Use: "watch TARGET AT…", Short: "Show values whenever they change, until Ctrl-C", Args: cobra.MinimumNArgs(2)}
	target, how, asJSON := addTargetFlags(c, time.Second), addPlaceFlags(c), jsonFlag(c)
	every := c.Flags().Duration("every", time.Second, "how often to look")
	times := c.Flags().Int("times", 0, "stop after so many looks; 0: never")
	c.RunE = func(c *cobra.Command, args []string) error {
		var places []modbus.Place
		for _, at := range args[1:] {
			p, err := how.place(at)
			if err != nil {
				return err
			}
			places = append(places, p)
		}
		ex, done, err := target.open(c.Context(), args[0])
		if err != nil {
			return err
		}
		defer done()
		last := map[string]string{}
		tick := time.NewTicker(max(*every, adapters.MinEvery))
		defer tick.Stop()
		for look := 0; *times == 0 || look < *times; look++ {
			if look > 0 {
				select {
				case <-c.Context().Done():
					return nil
				case <-tick.C:
				}
			}
			for _, p := range places {
				line, at := watched(c.Context(), ex, *target.unit, p, *target.timeout, *asJSON)
				if c.Context().Err() != nil {
					return nil
				}
				if last[at] != line {
					fmt.Fprintln(c.OutOrStdout(), line)
				}
				last[at] = line
			}
		}
		return nil
	}
	return c
}

// watched is what one look shows: a value, or why there is none.
func watched(ctx context.Context, ex exchanger, unit byte, p modbus.Place, timeout time.Duration, asJSON bool) (line, at string) {
	at = fmt.Sprintf("%s:%d", p.Table(), p.Addr())
	values, err := readPlace(ctx, ex, unit, p, 1, timeout)
	if asJSON {
		out := map[string]any{"at": at}
		if err != nil {
			out["error"] = err.Error()
		} else {
			out["value"], out["words"] = values[0].Value, values[0].Words
		}
		text, _ := json.Marshal(out) // of what was read
		return string(text), at
	}
	if err != nil {
		return err.Error(), at
	}
	return fmt.Sprintf("%s  %s  %s", at, values[0].Hex, adapters.Describe(values[0].Value)), at
}
