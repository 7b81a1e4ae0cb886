package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
)

func policyCommand() *cobra.Command {
	c := &cobra.Command{Use: "policy", Short: "Policies: AWS IoT policy documents by name", Args: cobra.NoArgs, RunE: group}
	c.AddCommand(policyListCommand(), policyShowCommand(), &cobra.Command{
		Use:   "put NAME FILE",
		Short: "Store a policy document, - for standard input; one with a fault is refused and the old one stays",
		Args:  cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			var text []byte
			var err error
			if args[1] == "-" {
				text, err = io.ReadAll(io.LimitReader(c.InOrStdin(), 1<<20))
			} else {
				text, err = os.ReadFile(args[1])
			}
			if err != nil {
				return err
			}
			return client().PutPolicy(c.Context(), args[0], text)
		},
	}, &cobra.Command{
		Use:   "delete NAME",
		Short: "Remove a policy that was put",
		Args:  cobra.ExactArgs(1),
		RunE:  func(c *cobra.Command, args []string) error { return client().DeletePolicy(c.Context(), args[0]) },
	})
	return c
}

func policyListCommand() *cobra.Command {
	c := &cobra.Command{Use: "list", Short: "List policies: built in, configured, and put by command", Args: cobra.NoArgs}
	asJSON := jsonFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		all, err := client().Policies(c.Context())
		if err != nil {
			return err
		}
		if *asJSON {
			return printJSON(c.OutOrStdout(), all)
		}
		rows := [][]string{{"POLICY", "ORIGIN"}}
		for _, p := range all {
			rows = append(rows, []string{p.Name, p.Origin})
		}
		return table(c.OutOrStdout(), rows...)
	}
	return c
}

func policyShowCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "show NAME",
		Short: "Print a policy document",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			all, err := client().Policies(c.Context())
			if err != nil {
				return err
			}
			for _, p := range all {
				if p.Name == args[0] {
					_, err := fmt.Fprintln(c.OutOrStdout(), strings.TrimSpace(p.Text))
					return err
				}
			}
			return fmt.Errorf("there is no policy %q", args[0])
		},
	}
}
