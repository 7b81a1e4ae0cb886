package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"edgeshadow/config"
)

func checkCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "check",
		Short: "Validate the configuration and tell every fault with its place",
		Args:  cobra.NoArgs,
	}
	path := configFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		cfg, err := config.Check(*path)
		if err != nil {
			return faulty(c, err)
		}
		fmt.Fprintf(c.OutOrStdout(), "%s: good: %d listeners, %d buses, %d things\n",
			*path, len(cfg.Broker.Listeners), len(cfg.Buses), len(cfg.Things))
		return nil
	}
	return c
}
