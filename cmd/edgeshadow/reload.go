package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"
)

func reloadCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "reload",
		Short: "Have the daemon read its configuration again and apply what changed, or on any fault nothing",
		Args:  cobra.NoArgs,
	}
	asJSON := jsonFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		r, err := client().Reload(c.Context())
		if err != nil {
			return err
		}
		if *asJSON {
			if err := printJSON(c.OutOrStdout(), r); err != nil {
				return err
			}
			if r.Error != "" {
				return quietError{}
			}
			return nil
		}
		for _, line := range r.Faults {
			fmt.Fprintln(c.OutOrStdout(), line)
		}
		if r.Error != "" {
			return hintedError{errors.New(r.Error), r.Hint}
		}
		for _, line := range r.Changes {
			fmt.Fprintln(c.OutOrStdout(), line)
		}
		if len(r.Changes) == 0 {
			fmt.Fprintln(c.OutOrStdout(), "nothing changed in the configuration; certificates, policies and passwords were read again")
		}
		return nil
	}
	return c
}
