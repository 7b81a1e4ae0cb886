package main

import (
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"edgeshadow/cmd/gateway"
	"edgeshadow/config"
)

func runCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "run",
		Short: "Run the gateway until SIGTERM or Ctrl-C",
		Args:  cobra.NoArgs,
	}
	path := configFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		// From here on a SIGHUP is no end.
		hangup := make(chan os.Signal, 1)
		signal.Notify(hangup, syscall.SIGHUP)
		defer signal.Stop(hangup)
		cfg, err := config.Load(*path)
		if err != nil {
			return err
		}
		g, err := gateway.Open(cfg, gateway.Options{
			Version: buildVersion(),
			Socket:  gateway.DefaultSocket(), Log: logger(c.ErrOrStderr()), File: *path, Hangup: hangup,
		})
		if err != nil {
			return err
		}
		return g.Run(c.Context())
	}
	return c
}
