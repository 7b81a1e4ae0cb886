package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"edgeshadow/bridge"
)

func syncPlanCommand() *cobra.Command {
	c := &cobra.Command{Use: "plan", Short: "What a reconcile would do now, without doing it", Args: cobra.NoArgs}
	asJSON := jsonFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		plan, err := client().Plan(c.Context())
		if err != nil {
			return err
		}
		if *asJSON {
			return printJSON(c.OutOrStdout(), plan)
		}
		rows := [][]string{{"THING", "SHADOW", "MESSAGE", "WHY", "IF CLOUD IS AT", "NEXT TRY", "PATCH"}}
		for _, s := range plan {
			version, next := "", ""
			if s.Version > 0 {
				version = fmt.Sprintf("v%d", s.Version)
			}
			if s.NextTry != nil {
				next = s.NextTry.Local().Format(time.DateTime)
			}
			rows = append(rows, []string{s.Thing, named(s.Shadow), s.Message, s.Why, version, next, string(s.Patch)})
		}
		return table(c.OutOrStdout(), rows...)
	}
	return c
}

func syncVerifyCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "verify THING", Short: "Compare a thing's shadows with the cloud now, not when it is due",
		Long: "Compare a thing's shadows with the cloud now, not when it is due. Exit 1: they differ, or the cloud does not answer.",
		Args: cobra.ExactArgs(1),
	}
	asJSON := jsonFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		shadows, err := client().Verify(c.Context(), args[0])
		if err != nil {
			return err
		}
		if *asJSON {
			err = printJSON(c.OutOrStdout(), shadows)
		} else {
			err = table(c.OutOrStdout(), syncRows(shadows)...)
		}
		for _, s := range shadows {
			if err == nil && s.State != "clean" {
				err = quietError{}
			}
		}
		return err
	}
	return c
}

func shadowDiffCommand() *cobra.Command {
	c := &cobra.Command{Use: "diff THING", Short: "Where a shadow differs from the cloud, as that was seen last", Args: cobra.ExactArgs(1)}
	id, asJSON := shadowName(c), jsonFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		id, err := id(args[0])
		if err != nil {
			return err
		}
		diff, err := client().Diff(c.Context(), id)
		if err != nil {
			return err
		}
		if *asJSON {
			return printJSON(c.OutOrStdout(), diff)
		}
		return printDiff(c, diff)
	}
	return c
}

func printDiff(c *cobra.Command, d bridge.Comparison) error {
	if len(d.Differences) == 0 {
		_, err := fmt.Fprintf(c.OutOrStdout(), "%s: no difference; here v%d, cloud v%d\n", d.State, d.LocalVersion, d.CloudVersion)
		return err
	}
	rows := [][]string{{"PATH", fmt.Sprintf("LOCAL v%d", d.LocalVersion), fmt.Sprintf("CLOUD v%d", d.CloudVersion)}}
	for _, x := range d.Differences {
		rows = append(rows, []string{x.Path, gone(string(x.Local)), gone(string(x.Cloud))})
	}
	return table(c.OutOrStdout(), rows...)
}
