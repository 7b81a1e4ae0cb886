package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

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
		s.Version = buildVersion()
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
	switch u := s.Uplink; {
	case u == nil:
		fmt.Fprintln(w, "uplink   none configured")
	default:
		fmt.Fprintf(w, "uplink   %s since %s", u.State, u.Since.Local().Format(time.DateTime))
		if u.Why != "" {
			fmt.Fprintf(w, ": %s (%d failures)", u.Why, u.Failures)
		}
		fmt.Fprintln(w)
		if u.Hint != "" {
			fmt.Fprintf(w, "         hint: %s\n", u.Hint)
		}
	}
	if y := s.Sync; y != nil {
		fmt.Fprintf(w, "sync     %d shadows, %d not in sync, %d conflicts; %d gets, %d pushes\n",
			y.Shadows, len(s.Unsynced), y.Conflicts, y.Gets, y.Pushes)
	}
	fmt.Fprintf(w, "memory   %.1f MiB\n", float64(s.MemoryBytes)/(1<<20))
	for _, b := range s.Buses {
		state := "connected"
		if !b.Connected {
			state = "not connected"
		}
		fmt.Fprintf(w, "bus      %s %s %s, %s, %.0f%% busy, %d requests, %d errors, %d exceptions",
			b.Bus, b.Type, b.Address, state, 100*b.Utilisation, b.Requests, b.Errors, b.Exceptions)
		if b.Err != "" {
			fmt.Fprintf(w, ": %s", b.Err)
		}
		fmt.Fprintln(w)
	}
	if len(s.Things) > 0 {
		fmt.Fprintln(w)
		if err := table(w, thingRows(s.Things)...); err != nil {
			return err
		}
	}
	if len(s.Unsynced) > 0 {
		fmt.Fprintln(w)
		return table(w, syncRows(s.Unsynced)...)
	}
	return nil
}
