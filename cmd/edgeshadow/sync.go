package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"edgeshadow/bridge"
	"edgeshadow/localshadow/shadow"
)

func syncCommand() *cobra.Command {
	c := &cobra.Command{Use: "sync", Short: "How the shadows stand to the cloud, and why", Args: cobra.NoArgs, RunE: group}
	c.AddCommand(syncStatusCommand(), syncLogCommand(), syncPlanCommand(), syncVerifyCommand())
	return c
}

func syncStatusCommand() *cobra.Command {
	c := &cobra.Command{Use: "status", Short: "Each synced shadow: state, versions, dirty since, last error", Args: cobra.NoArgs}
	asJSON := jsonFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		shadows, err := client().SyncStatus(c.Context())
		if err != nil {
			return err
		}
		if *asJSON {
			return printJSON(c.OutOrStdout(), shadows)
		}
		return table(c.OutOrStdout(), syncRows(shadows)...)
	}
	return c
}

func syncRows(shadows []bridge.ShadowStatus) [][]string {
	rows := [][]string{{"THING", "SHADOW", "STATE", "LOCAL", "CLOUD", "DIRTY SINCE", "LAST SUCCESS", "NEXT TRY", "LAST ERROR"}}
	at := func(t *time.Time) string {
		if t == nil {
			return ""
		}
		return t.Local().Format(time.DateTime)
	}
	for _, s := range shadows {
		rows = append(rows, []string{
			s.Thing, named(s.Shadow), s.State, fmt.Sprintf("v%d", s.LocalVersion), fmt.Sprintf("v%d", s.CloudVersion),
			at(s.DirtySince), at(s.LastSuccess), at(s.NextTry), s.LastError,
		})
	}
	return rows
}

func syncLogCommand() *cobra.Command {
	c := &cobra.Command{Use: "log [THING]", Short: "The journal of decisions: what was kept, what was lost, by which rule", Args: cobra.MaximumNArgs(1)}
	name, asJSON := c.Flags().String("name", "", "a named shadow; default: the classic one"), jsonFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		var of *shadow.ID
		if len(args) == 1 {
			of = &shadow.ID{Thing: args[0], Name: *name}
		}
		decisions, err := client().Decisions(c.Context(), of)
		if err != nil {
			return err
		}
		if *asJSON {
			return printJSON(c.OutOrStdout(), decisions)
		}
		rows := [][]string{{"TIME", "THING", "SHADOW", "PATH", "WINNER", "KEPT", "LOST", "RULE", "LOCAL", "CLOUD"}}
		for _, d := range decisions {
			rows = append(rows, []string{
				d.Time.Local().Format(time.DateTime), d.Thing, named(d.Shadow), d.Path, d.Winner, gone(d.Kept), gone(d.Lost), d.Rule,
				fmt.Sprintf("v%d", d.Local), fmt.Sprintf("v%d", d.Cloud),
			})
		}
		return table(c.OutOrStdout(), rows...)
	}
	return c
}

// gone is how a value that is absent reads.
func gone(value string) string {
	if value == "" {
		return "(none)"
	}
	return value
}
