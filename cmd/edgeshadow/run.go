package main

import (
	"errors"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"edgeshadow/cmd/gateway"
	"edgeshadow/config"
	"edgeshadow/localshadow"
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
			return curable(err)
		}
		return curable(g.Run(c.Context()))
	}
	return c
}

// curable adds the cure of what most often keeps a daemon from starting.
func curable(err error) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return hintedError{err, "another program listens there, perhaps mosquitto: ss -ltnp tells; stop it, or configure another address"}
	case errors.Is(err, localshadow.ErrInUse):
		return hintedError{err, "the daemon runs already, it seems: systemctl status edgeshadow"}
	}
	return err
}
