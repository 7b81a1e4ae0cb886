package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"edgeshadow/cmd/gateway"
	"edgeshadow/config"
	"edgeshadow/localshadow"
)

func backupCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "backup FILE",
		Short: "Write store, CA, configuration and what waits for the cloud of the running gateway into a file, which holds secrets",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			size, err := backup(c.Context(), args[0])
			if err != nil {
				return fmt.Errorf("backup: %w", err)
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "%s: %s\n", args[0], bytesText(size))
			return err
		},
	}
}

// backup writes a file that is complete or not there.
func backup(ctx context.Context, file string) (size int64, err error) {
	f, err := os.CreateTemp(filepath.Dir(file), "."+filepath.Base(file)+".*") // mode 0600
	if err != nil {
		return 0, err
	}
	defer func() {
		_ = f.Close()
		if err != nil {
			_ = os.Remove(f.Name())
		}
	}()
	if err := client().Backup(ctx, f); err != nil {
		return 0, err
	}
	if size, err = f.Seek(0, 1); err != nil {
		return 0, err
	}
	if _, err := f.Seek(0, 0); err != nil {
		return 0, err
	}
	if err := gateway.VerifyBackup(f); err != nil {
		return 0, fmt.Errorf("it is not complete: %w", err)
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return 0, err
	}
	return size, os.Rename(f.Name(), file)
}

func restoreCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "restore FILE",
		Short: "Bring a backup back while the daemon is stopped; what was there is set aside",
		Args:  cobra.ExactArgs(1),
	}
	path := configFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		done, err := gateway.Restore(args[0], *path, nil)
		if err != nil {
			hint := ""
			var faults config.Faults
			switch {
			case errors.Is(err, localshadow.ErrInUse):
				hint = "stop the daemon first: systemctl stop edgeshadow"
			case errors.As(err, &faults):
				hint = "-c names another place for the configuration"
			}
			return hintedError{fmt.Errorf("restore: %w", err), hint}
		}
		out := c.OutOrStdout()
		fmt.Fprintf(out, "restored %s of %s\n", done.Thing, done.Created.Local().Format("2006-01-02 15:04:05"))
		for _, name := range done.Files {
			fmt.Fprintf(out, "  %s\n", name)
		}
		for _, name := range done.SetAside {
			fmt.Fprintf(out, "  set aside: %s\n", name)
		}
		for _, name := range done.Missing {
			fmt.Fprintf(out, "  not in the backup, see to it: %s\n", name)
		}
		return nil
	}
	return c
}
