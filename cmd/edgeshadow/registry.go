package main

import (
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"edgeshadow/cmd/console"
)

func thingCreateCommand() *cobra.Command {
	c := &cobra.Command{
		Use:     "create THING",
		Short:   "Make a thing known: an entry of the registry, and synced with the cloud",
		Example: "  edgeshadow thing create pump-1 --type pump --attribute room=cellar",
		Args:    cobra.ExactArgs(1),
	}
	kind := c.Flags().String("type", "", "its type")
	attributes := c.Flags().StringToString("attribute", nil, "an attribute, NAME=VALUE")
	asJSON := jsonFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		t, err := client().CreateThing(c.Context(), args[0], *kind, *attributes)
		if err != nil {
			return err
		}
		if *asJSON {
			return printJSON(c.OutOrStdout(), t)
		}
		_, err = fmt.Fprintf(c.OutOrStdout(), "%s, version %d\n", t.Name, t.Version)
		return err
	}
	return c
}

func thingShowCommand() *cobra.Command {
	c := &cobra.Command{Use: "show THING", Short: "What is known of a thing: type, attributes, certificates, shadows", Args: cobra.ExactArgs(1)}
	asJSON := jsonFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		e, err := client().Entry(c.Context(), args[0])
		if err != nil {
			return err
		}
		if *asJSON {
			return printJSON(c.OutOrStdout(), e)
		}
		printEntry(c.OutOrStdout(), e)
		return nil
	}
	return c
}

func printEntry(w io.Writer, e console.Entry) {
	fmt.Fprintf(w, "thing        %s\n", e.Name)
	switch {
	case e.Configured:
		fmt.Fprintln(w, "entry        configured")
	case e.Version > 0:
		fmt.Fprintf(w, "entry        version %d, id %s\n", e.Version, e.ID)
	default:
		fmt.Fprintln(w, "entry        none")
	}
	if e.Type != "" {
		fmt.Fprintf(w, "type         %s\n", e.Type)
	}
	for _, name := range slices.Sorted(maps.Keys(e.Attributes)) {
		fmt.Fprintf(w, "attribute    %s = %s\n", name, e.Attributes[name])
	}
	for _, i := range e.Certificates {
		state := "valid"
		if i.Revoked {
			state = "revoked"
		}
		fmt.Fprintf(w, "certificate  %s, %s\n", i.ID[:16], state)
	}
	for _, s := range e.Shadows {
		fmt.Fprintf(w, "shadow       %s v%d\n", named(s.Name), s.Version)
	}
}

func thingDeleteCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "delete THING",
		Short: "Remove a thing's entry from the registry; its shadows and certificates stay",
		Args:  cobra.ExactArgs(1),
		RunE:  func(c *cobra.Command, args []string) error { return client().DeleteThing(c.Context(), args[0]) },
	}
}
