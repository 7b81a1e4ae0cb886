package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"edgeshadow/bridge/relay"
	"edgeshadow/config"
)

func relayCommand() *cobra.Command {
	c := &cobra.Command{Use: "relay", Short: "Topics between the local broker and the cloud", Args: cobra.NoArgs, RunE: group}
	c.AddCommand(relayTestCommand())
	return c
}

func relayTestCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "test local:TOPIC | cloud:TOPIC",
		Short: "What the rules of the configuration make of a topic: rule, target, class and the permission needed",
		Args:  cobra.ExactArgs(1),
	}
	path, asJSON := configFlag(c), jsonFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		cfg, err := config.Load(*path)
		if err != nil {
			return faulty(c, err)
		}
		matches, err := cfg.Relay.Test(cfg.Journal, args[0])
		if err != nil {
			return err
		}
		return printMatches(c.OutOrStdout(), args[0], matches, *asJSON)
	}
	return c
}

// printMatches ends with exit 1 when no rule takes the topic where it can go.
func printMatches(w io.Writer, topic string, matches []relay.Match, asJSON bool) error {
	good := slices.ContainsFunc(matches, func(m relay.Match) bool { return m.Error == "" })
	var err error
	switch {
	case asJSON:
		if matches == nil {
			matches = []relay.Match{}
		}
		err = printJSON(w, matches)
	case len(matches) == 0:
		_, err = fmt.Fprintf(w, "no rule takes %s\n", topic)
	default:
		rows := [][]string{{"RULE", "TARGET", "QOS", "CLASS", "PERMISSION"}}
		for _, m := range matches {
			if m.Error != "" {
				rows = append(rows, []string{m.Rule, "cannot go there: " + m.Error, "", "", ""})
				continue
			}
			rows = append(rows, []string{m.Rule, m.Target, fmt.Sprint(m.QoS), m.Class, m.Permission})
		}
		err = table(w, rows...)
	}
	if err == nil && !good {
		err = quietError{}
	}
	return err
}

// printRelay tells what waits for the cloud, and what was lost on the way.
func printRelay(w io.Writer, s *relay.Stats) {
	if s == nil || len(s.Classes) == 0 && s.Received == 0 {
		return
	}
	for _, c := range s.Classes {
		fmt.Fprintf(w, "relay    %s: %d waiting, %s of %s, %d sent", c.Class, c.Pending, bytesText(c.Bytes), bytesText(c.Limit), c.Sent)
		var lost []string
		for _, why := range slices.Sorted(maps.Keys(c.Lost())) {
			if n := c.Lost()[why]; n > 0 {
				lost = append(lost, fmt.Sprintf("%d %s", n, strings.ReplaceAll(why, "_", " ")))
			}
		}
		if len(lost) > 0 {
			fmt.Fprintf(w, "; %s", strings.Join(lost, ", "))
		}
		fmt.Fprintln(w)
	}
	if s.Received > 0 {
		fmt.Fprintf(w, "relay    %d from the cloud, %d of them that no rule takes\n", s.Received+s.Stray, s.Stray)
	}
}
