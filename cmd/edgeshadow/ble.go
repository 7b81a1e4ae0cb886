package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"edgeshadow/adapters"
	"edgeshadow/adapters/ble"
	"edgeshadow/cmd/console"
	"edgeshadow/config"
	"edgeshadow/localshadow/shadow"
)

func bleCommand() *cobra.Command {
	c := &cobra.Command{Use: "ble", Short: "Commission Bluetooth LE devices", Args: cobra.NoArgs, RunE: group}
	c.AddCommand(bleScanCommand())
	return c
}

func bleScanCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "scan",
		Short: "List the Bluetooth LE devices that are near, and what they say",
		Long: `List the Bluetooth LE devices that are near, the nearest first, and what they say. When the daemon has Bluetooth devices,
the daemon listens; otherwise the command does. A device that says "encrypted, no key" wants a bindkey. Devices of which
nothing is known but that they are there are shown with --all.`,
		Args: cobra.NoArgs,
	}
	asJSON, emit, path := jsonFlag(c), emitFlag(c), configFlag(c)
	long := c.Flags().Duration("for", 10*time.Second, "how long to listen")
	all := c.Flags().Bool("all", false, "also devices that say nothing that is understood")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if err := checkEmit(c, *emit); err != nil {
			return err
		}
		list, err := near(c.Context(), *long, *path)
		if err != nil {
			return err
		}
		if !*all {
			list = telling(list)
		}
		switch {
		case *asJSON:
			return printJSON(c.OutOrStdout(), list)
		case *emit != "":
			return emitSightings(c.OutOrStdout(), list)
		case len(list) == 0:
			fmt.Fprintf(c.OutOrStdout(), "nothing that is understood was heard within %s; --all shows what is there\n", *long)
			return quietError{}
		}
		return table(c.OutOrStdout(), sightingRows(list)...)
	}
	return c
}

// near are the devices that are near: the daemon's word, or our own.
func near(ctx context.Context, long time.Duration, path string) ([]ble.Sighting, error) {
	list, err := client().Near(ctx, long)
	var refused *shadow.Error
	if !errors.Is(err, console.ErrUnreachable) && !(errors.As(err, &refused) && refused.Code == http.StatusNotFound) {
		return list, err
	}
	// The keys of what is configured, when the configuration may be read. A scan
	// connects to nothing.
	things := map[string]ble.Thing{}
	if cfg, err := config.Load(path); err == nil {
		for name, t := range cfg.Things.BLE() {
			t.Characteristics = nil
			things[name] = t
		}
	}
	d, err := ble.New(things, nil)
	if err != nil {
		return nil, err
	}
	listening, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- d.Listen(listening, func(...adapters.Reading) {}) }()
	heard := make(chan []ble.Sighting, 1)
	go func() { heard <- d.Near(listening, long) }()
	select {
	case err := <-ended:
		stop()
		<-heard
		if err != nil {
			return nil, hintedError{err, "is dbus installed, and does it run? systemctl status dbus bluetooth"}
		}
		return nil, ctx.Err()
	case list = <-heard:
	}
	why := d.Stats().Err
	stop()
	<-ended
	if len(list) == 0 && why != "" {
		return nil, errors.New(why)
	}
	return list, nil
}

// telling are those that say something that is understood, or are things.
func telling(list []ble.Sighting) []ble.Sighting {
	out := []ble.Sighting{}
	for _, s := range list {
		if len(s.Frames) > 0 || s.Thing != "" {
			out = append(out, s)
		}
	}
	return out
}

func sightingRows(list []ble.Sighting) [][]string {
	rows := [][]string{{"ADDRESS", "RSSI", "NAME", "THING", "FORMAT", "SAYS"}}
	for _, s := range list {
		rssi := ""
		if s.RSSI != 0 {
			rssi = strconv.Itoa(int(s.RSSI))
		}
		formats, says := []string{}, []string{}
		for _, f := range s.Frames {
			formats = append(formats, f.Format)
			if f.Text != "" {
				says = append(says, f.Text)
			}
			if f.Err != "" {
				says = append(says, f.Err)
			}
		}
		for _, r := range s.Raw {
			says = append(says, r.Data+" "+r.Hex)
		}
		rows = append(rows, []string{s.MAC, rssi, s.Name, s.Thing, strings.Join(formats, ", "), strings.Join(says, "; ")})
	}
	return rows
}

var notInName = regexp.MustCompile(`[^a-z0-9]+`)

// emitSightings prints sections for those that are no things yet.
func emitSightings(w io.Writer, list []ble.Sighting) error {
	fmt.Fprintln(w, "things:")
	for _, s := range list {
		if s.Thing != "" || len(s.Frames) == 0 {
			continue
		}
		f := s.Frames[0]
		tail := strings.ToLower(strings.ReplaceAll(s.MAC, ":", ""))[6:]
		kind := strings.Trim(notInName.ReplaceAllString(strings.ToLower(s.Name), "-"), "-")
		if kind == "" || len(kind) > 40 {
			kind = f.Format
		}
		says := f.Text
		key := ""
		if f.Err != "" {
			says = f.Err
			key = fmt.Sprintf(", bindkey: file:%s-%s.key", kind, tail)
		}
		fmt.Fprintf(w, "  %s-%s: # %d dBm: %s\n    ble: {mac: %q, decode: %s%s}\n", kind, tail, s.RSSI, says, s.MAC, f.Format, key)
	}
	return nil
}
