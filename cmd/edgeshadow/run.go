package main

import (
	"io"
	"log/slog"
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
			Socket: gateway.DefaultSocket(), Log: logger(c.ErrOrStderr()), File: *path, Hangup: hangup,
		})
		if err != nil {
			return err
		}
		return g.Run(c.Context())
	}
	return c
}

// logger writes text lines; under journald without the time, which it adds.
func logger(w io.Writer) *slog.Logger {
	options := &slog.HandlerOptions{}
	if os.Getenv("JOURNAL_STREAM") != "" {
		options.ReplaceAttr = func(groups []string, a slog.Attr) slog.Attr {
			if len(groups) == 0 && a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		}
	}
	return slog.New(slog.NewTextHandler(w, options))
}
