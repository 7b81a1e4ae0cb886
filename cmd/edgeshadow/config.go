package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"edgeshadow/config"
)

func configCommand() *cobra.Command {
	c := &cobra.Command{Use: "config", Short: "The configuration as it is read", Args: cobra.NoArgs, RunE: group}
	c.AddCommand(configShowCommand())
	return c
}

func configShowCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "show",
		Short: "Print every value that the files and the defaults give; secrets are hidden",
		Args:  cobra.NoArgs,
	}
	path, origin, asJSON := configFlag(c), c.Flags().Bool("origin", false, "tell where each value comes from"), jsonFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		settings, err := config.Show(*path)
		if err != nil {
			return faulty(c, err)
		}
		if !*origin {
			for i := range settings {
				settings[i].Origin = ""
			}
		}
		if *asJSON {
			return printJSON(c.OutOrStdout(), settings)
		}
		var rows [][]string
		for _, s := range settings {
			row := []string{s.Path, s.Value}
			if *origin {
				row = append(row, s.Origin)
			}
			rows = append(rows, row)
		}
		return table(c.OutOrStdout(), rows...)
	}
	return c
}

// faulty prints the faults of a configuration, one a line, and ends with exit 1.
func faulty(c *cobra.Command, err error) error {
	var faults config.Faults
	if !errors.As(err, &faults) {
		return err
	}
	for _, f := range faults {
		fmt.Fprintln(c.OutOrStdout(), f)
	}
	return quietError{}
}
