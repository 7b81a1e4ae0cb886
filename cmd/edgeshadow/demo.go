package main

import (
	"github.com/spf13/cobra"

	"edgeshadow/cmd/demo"
)

func demoCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "demo",
		Short: "Play a whole site in one process: no hardware, no account",
		Args:  cobra.NoArgs,
	}
	once := c.Flags().Bool("once", false, "end by itself; exit 0 when every shadow is equal on both sides")
	c.RunE = func(c *cobra.Command, _ []string) error {
		return demo.Run(c.Context(), c.OutOrStdout(), terminal(c.OutOrStdout()), *once)
	}
	return c
}
