package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"edgeshadow/cmd/console"
)

func thingCommand() *cobra.Command {
	c := &cobra.Command{Use: "thing", Short: "Things that the gateway knows", Args: cobra.NoArgs, RunE: group}
	c.AddCommand(thingListCommand(), thingShowCommand(), thingCreateCommand(), thingDeleteCommand(), thingTypeCommand())
	return c
}

func thingListCommand() *cobra.Command {
	c := &cobra.Command{Use: "list", Short: "List things: configured, created, enrolled, and those that only have shadows", Args: cobra.NoArgs}
	asJSON := jsonFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		things, err := client().Things(c.Context())
		if err != nil {
			return err
		}
		if *asJSON {
			return printJSON(c.OutOrStdout(), things)
		}
		return table(c.OutOrStdout(), thingRows(things)...)
	}
	return c
}

// thingRows are things as a table.
func thingRows(things []console.Thing) [][]string {
	rows := [][]string{{"THING", "ORIGIN", "BUS", "STATE", "SHADOWS", "NOT GOOD"}}
	for _, t := range things {
		state := ""
		if t.Online != nil {
			state = "offline"
			if *t.Online {
				state = "online"
			}
		}
		var shadows, bad []string
		for _, s := range t.Shadows {
			shadows = append(shadows, fmt.Sprintf("%s v%d", named(s.Name), s.Version))
		}
		for _, point := range slices.Sorted(maps.Keys(t.Quality)) {
			bad = append(bad, fmt.Sprintf("%s: %s", point, t.Quality[point]))
		}
		rows = append(rows, []string{t.Name, t.Origin, t.Bus, state, strings.Join(shadows, ", "), strings.Join(bad, ", ")})
	}
	return rows
}

// named is the name of a shadow for people.
func named(name string) string {
	if name == "" {
		return "classic"
	}
	return name
}
