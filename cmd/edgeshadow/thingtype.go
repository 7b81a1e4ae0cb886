package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"edgeshadow/localshadow/registry"
)

func thingTypeCommand() *cobra.Command {
	c := &cobra.Command{Use: "type", Short: "Types that things have", Args: cobra.NoArgs, RunE: group}
	c.AddCommand(typeListCommand(), typeShowCommand(), typeCreateCommand(), typeDeprecateCommand(), typeDeleteCommand())
	return c
}

func typeListCommand() *cobra.Command {
	c := &cobra.Command{Use: "list", Short: "List thing types: those described, and those that things have", Args: cobra.NoArgs}
	asJSON := jsonFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		types, err := client().Types(c.Context())
		if err != nil {
			return err
		}
		if *asJSON {
			return printJSON(c.OutOrStdout(), types)
		}
		rows := [][]string{{"TYPE", "STATE", "SEARCHABLE", "DESCRIPTION"}}
		for _, t := range types {
			rows = append(rows, []string{t.Name, typeState(t), strings.Join(t.Searchable, ", "), t.Description})
		}
		return table(c.OutOrStdout(), rows...)
	}
	return c
}

// typeState is what may be done with a type.
func typeState(t registry.Type) string {
	switch {
	case t.Deprecated:
		return "deprecated"
	case t.ID == "":
		return "name only"
	}
	return "active"
}

func typeShowCommand() *cobra.Command {
	c := &cobra.Command{Use: "show TYPE", Short: "What is known of a thing type", Args: cobra.ExactArgs(1)}
	asJSON := jsonFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		t, err := client().Type(c.Context(), args[0])
		if err != nil {
			return err
		}
		if *asJSON {
			return printJSON(c.OutOrStdout(), t)
		}
		printType(c.OutOrStdout(), t)
		return nil
	}
	return c
}

func printType(w io.Writer, t registry.Type) {
	fmt.Fprintf(w, "type         %s\n", t.Name)
	fmt.Fprintf(w, "state        %s\n", typeState(t))
	if t.ID != "" {
		fmt.Fprintf(w, "id           %s\n", t.ID)
		fmt.Fprintf(w, "created      %s\n", t.Created.Format(time.RFC3339))
	}
	if t.Deprecated {
		fmt.Fprintf(w, "deprecated   %s\n", t.DeprecatedOn.Format(time.RFC3339))
	}
	if t.Description != "" {
		fmt.Fprintf(w, "description  %s\n", t.Description)
	}
	for _, name := range t.Searchable {
		fmt.Fprintf(w, "searchable   %s\n", name)
	}
}

func typeCreateCommand() *cobra.Command {
	c := &cobra.Command{
		Use:     "create TYPE",
		Short:   "Describe a thing type; what it says can't be changed later",
		Example: "  edgeshadow thing type create pump --description 'circulation pumps' --searchable room",
		Args:    cobra.ExactArgs(1),
	}
	description := c.Flags().String("description", "", "what things of this type are")
	searchable := c.Flags().StringArray("searchable", nil, "the name of an attribute to search by; up to three")
	c.RunE = func(c *cobra.Command, args []string) error {
		t, err := client().CreateType(c.Context(), args[0], *description, *searchable)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(c.OutOrStdout(), "%s, id %s\n", t.Name, t.ID)
		return err
	}
	return c
}

func typeDeprecateCommand() *cobra.Command {
	c := &cobra.Command{Use: "deprecate TYPE", Short: "Let no further thing have a type; those that have it keep it", Args: cobra.ExactArgs(1)}
	undo := c.Flags().Bool("undo", false, "let things have it again")
	c.RunE = func(c *cobra.Command, args []string) error {
		return client().DeprecateType(c.Context(), args[0], *undo)
	}
	return c
}

func typeDeleteCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "delete TYPE",
		Short: "Remove a thing type that was deprecated five minutes ago or earlier, and that no thing has",
		Args:  cobra.ExactArgs(1),
		RunE:  func(c *cobra.Command, args []string) error { return client().DeleteType(c.Context(), args[0]) },
	}
}
