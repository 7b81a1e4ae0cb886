package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"edgeshadow/localshadow/access"
)

func keyCommand() *cobra.Command {
	c := &cobra.Command{Use: "key", Short: "Access keys, with which AWS SDKs sign HTTP and WebSockets", Args: cobra.NoArgs, RunE: group}
	c.AddCommand(keyCreateCommand(), keyListCommand(), keyDeleteCommand())
	return c
}

func keyCreateCommand() *cobra.Command {
	c := &cobra.Command{Use: "create", Short: "Make an access key; its secret is shown this once", Args: cobra.NoArgs}
	policies := c.Flags().StringSlice("policy", []string{access.All}, "its policies")
	ttl, asJSON := c.Flags().Duration("ttl", 0, "how long it lasts, of the gateway's running time; 0: until it is deleted"), jsonFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		k, err := client().CreateKey(c.Context(), *policies, *ttl)
		if err != nil {
			return err
		}
		if *asJSON {
			return printJSON(c.OutOrStdout(), k)
		}
		_, err = fmt.Fprintf(c.OutOrStdout(), "AWS_ACCESS_KEY_ID=%s\nAWS_SECRET_ACCESS_KEY=%s\n", k.ID, k.Secret)
		return err
	}
	return c
}

func keyListCommand() *cobra.Command {
	c := &cobra.Command{Use: "list", Short: "List access keys", Args: cobra.NoArgs}
	asJSON := jsonFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		keys, err := client().Keys(c.Context())
		if err != nil {
			return err
		}
		if *asJSON {
			return printJSON(c.OutOrStdout(), keys)
		}
		rows := [][]string{{"KEY", "POLICIES", "CREATED", "TIME LEFT"}}
		for _, k := range keys {
			rows = append(rows, []string{k.ID, fmt.Sprint(k.Policies), k.Created.Local().Format(time.DateTime), k.Left})
		}
		return table(c.OutOrStdout(), rows...)
	}
	return c
}

func keyDeleteCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "delete KEY",
		Short: "End an access key and the connections that it opened",
		Args:  cobra.ExactArgs(1),
		RunE:  func(c *cobra.Command, args []string) error { return client().DeleteKey(c.Context(), args[0]) },
	}
}
