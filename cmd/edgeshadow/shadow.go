package main

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"edgeshadow/cmd/console"
	"edgeshadow/localshadow/shadow"
)

func shadowCommand() *cobra.Command {
	c := &cobra.Command{Use: "shadow", Short: "Device shadows of this gateway", Args: cobra.NoArgs, RunE: group}
	c.AddCommand(shadowGetCommand(), shadowUpdateCommand(), shadowDeleteCommand(), shadowListCommand(), shadowWatchCommand(), shadowDiffCommand())
	return c
}

// shadowName adds --name and returns what the command is about.
func shadowName(c *cobra.Command) func(thing string) (shadow.ID, error) {
	name := c.Flags().String("name", "", "a named shadow; default: the classic one")
	return func(thing string) (shadow.ID, error) {
		id := shadow.ID{Thing: thing, Name: *name}
		return id, id.Check()
	}
}

func shadowGetCommand() *cobra.Command {
	c := &cobra.Command{Use: "get THING", Short: "Print a shadow's document", Args: cobra.ExactArgs(1)}
	id := shadowName(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		id, err := id(args[0])
		if err != nil {
			return err
		}
		document, err := client().Get(c.Context(), id)
		if err != nil {
			return err
		}
		return printDocument(c.OutOrStdout(), document)
	}
	return c
}

func shadowUpdateCommand() *cobra.Command {
	c := &cobra.Command{
		Use:     "update THING DOCUMENT",
		Short:   "Update a shadow with a request document, - for standard input",
		Example: `  edgeshadow shadow update lamp '{"state":{"desired":{"power":"on"}}}'`,
		Args:    cobra.ExactArgs(2),
	}
	id := shadowName(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		id, err := id(args[0])
		if err != nil {
			return err
		}
		document := []byte(args[1])
		if args[1] == "-" {
			if document, err = io.ReadAll(c.InOrStdin()); err != nil {
				return err
			}
		}
		accepted, err := client().Update(c.Context(), id, document)
		if err != nil {
			return err
		}
		return printDocument(c.OutOrStdout(), accepted)
	}
	return c
}

func shadowDeleteCommand() *cobra.Command {
	c := &cobra.Command{Use: "delete THING", Short: "Delete a shadow", Args: cobra.ExactArgs(1)}
	id := shadowName(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		id, err := id(args[0])
		if err != nil {
			return err
		}
		accepted, err := client().Delete(c.Context(), id)
		if err != nil {
			return err
		}
		return printDocument(c.OutOrStdout(), accepted)
	}
	return c
}

func shadowListCommand() *cobra.Command {
	c := &cobra.Command{Use: "list THING", Short: "List a thing's shadows", Args: cobra.ExactArgs(1)}
	asJSON := jsonFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		shadows, err := client().Shadows(c.Context(), args[0])
		if err != nil {
			return err
		}
		if *asJSON {
			return printJSON(c.OutOrStdout(), shadows)
		}
		rows := [][]string{{"SHADOW", "VERSION"}}
		for _, s := range shadows {
			rows = append(rows, []string{named(s.Name), fmt.Sprint(s.Version)})
		}
		return table(c.OutOrStdout(), rows...)
	}
	return c
}

func shadowWatchCommand() *cobra.Command {
	c := &cobra.Command{Use: "watch THING", Short: "Print a shadow, and again with each change, until Ctrl-C", Args: cobra.ExactArgs(1)}
	id, asJSON := shadowName(c), jsonFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		id, err := id(args[0])
		if err != nil {
			return err
		}
		return client().Watch(c.Context(), id, func(w console.Watched) error {
			if *asJSON {
				return json.NewEncoder(c.OutOrStdout()).Encode(w)
			}
			_, err := fmt.Fprintln(c.OutOrStdout(), watchedLine(w))
			return err
		})
	}
	return c
}

func watchedLine(w console.Watched) string {
	at := w.Time.Local().Format("15:04:05.000")
	if w.Deleted {
		return at + "  deleted"
	}
	line := fmt.Sprintf("%s  v%d  %s", at, w.Version, shadow.Append(nil, w.State))
	if w.Delta.Len() > 0 {
		line += fmt.Sprintf("  delta %s", shadow.Append(nil, w.Delta))
	}
	return line
}
