package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"edgeshadow/localshadow/access"
)

func accessCommand() *cobra.Command {
	c := &cobra.Command{Use: "access", Short: "Who may do what: certificates, passwords, keys, policies", Args: cobra.NoArgs, RunE: group}
	c.AddCommand(enrollCommand(), signCommand(), certificatesCommand(), revokeCommand(), passwdCommand(),
		keyCommand(), policyCommand(), canCommand(), deniedCommand())
	return c
}

func certificatesCommand() *cobra.Command {
	c := &cobra.Command{Use: "list", Short: "List the device certificates that the built-in CA has issued", Args: cobra.NoArgs}
	asJSON := jsonFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		all, err := client().Certificates(c.Context())
		if err != nil {
			return err
		}
		if *asJSON {
			return printJSON(c.OutOrStdout(), all)
		}
		rows := [][]string{{"THING", "CERTIFICATE", "BY", "ISSUED", "STATE"}}
		for _, i := range all {
			state := "valid"
			if i.Revoked {
				state = "revoked"
			}
			rows = append(rows, []string{i.Thing, i.ID[:16], i.By, i.Time.Local().Format(time.DateTime), state})
		}
		return table(c.OutOrStdout(), rows...)
	}
	return c
}

func revokeCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "revoke THING|CERTIFICATE",
		Short: "End all certificates of a thing, or one by the first digits of its id; live connections end at once",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			ids, err := client().Revoke(c.Context(), args[0])
			for _, id := range ids {
				fmt.Fprintf(c.OutOrStdout(), "revoked %s\n", id)
			}
			return err
		},
	}
}

func passwdCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "passwd [FILE]",
		Short: "Read a password and print its hash, or write it to a file for access.principals",
		Long: "Read a password, from the terminal or from standard input, and print its argon2id hash, or write\n" +
			"it to a file that access.principals names:\n\n" +
			"  - {user: scada, password: file:/etc/edgeshadow/scada.hash, policies: [scada]}",
		Args: cobra.MaximumNArgs(1),
	}
	c.RunE = func(c *cobra.Command, args []string) error {
		password, err := readPassword(c)
		if err != nil {
			return err
		}
		hash, err := access.HashPassword(password)
		if err != nil {
			return err
		}
		if len(args) == 0 {
			_, err = fmt.Fprintln(c.OutOrStdout(), hash)
			return err
		}
		return writeNew(args[0], []byte(hash+"\n"), 0o640, true)
	}
	return c
}

// readPassword asks on a terminal, twice and without showing it; else it is the
// first line of standard input. It never comes from the command line, which
// other users of the machine can read.
func readPassword(c *cobra.Command) ([]byte, error) {
	in, ok := c.InOrStdin().(*os.File)
	if !ok || !term.IsTerminal(int(in.Fd())) {
		text, err := io.ReadAll(io.LimitReader(c.InOrStdin(), 4096))
		line, _, _ := bytes.Cut(text, []byte("\n"))
		return bytes.TrimSuffix(line, []byte("\r")), err
	}
	ask := func(prompt string) ([]byte, error) {
		fmt.Fprint(c.ErrOrStderr(), prompt)
		defer fmt.Fprintln(c.ErrOrStderr())
		return term.ReadPassword(int(in.Fd()))
	}
	one, err := ask("password: ")
	if err != nil {
		return nil, err
	}
	two, err := ask("once more: ")
	if err == nil && !bytes.Equal(one, two) {
		err = errors.New("the two differ")
	}
	return one, err
}

func canCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "can PRINCIPAL ACTION RESOURCE",
		Short: "May a principal do something? Exit 0: yes, 1: no; and the statement that decides",
		Long: "PRINCIPAL is a thing, certificate:NAME, user:NAME, key:ID or anonymous. ACTION is one of AWS IoT policies,\n" +
			"with or without iot:. RESOURCE is a topic, a filter, a client id, a thing or thing/shadow, or an ARN.",
		Example: "  edgeshadow access can lamp Publish '$aws/things/lamp/shadow/update'\n  edgeshadow access can user:scada Subscribe 'line/#'",
		Args:    cobra.ExactArgs(3),
	}
	as, asJSON := c.Flags().String("client", "", "the client id; default: the thing's name"), jsonFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		v, err := client().Can(c.Context(), args[0], args[1], args[2], *as)
		if err != nil {
			return err
		}
		if *asJSON {
			err = printJSON(c.OutOrStdout(), v)
		} else {
			printVerdict(c.OutOrStdout(), v)
		}
		if err == nil && !v.Allowed {
			return quietError{}
		}
		return err
	}
	return c
}

func printVerdict(w io.Writer, v access.Verdict) {
	has := strings.Join(v.Policies, ", ")
	if has == "" {
		has = "none"
	}
	answer := "no"
	if v.Allowed {
		answer = "yes"
	}
	switch {
	case v.Decided != "":
		fmt.Fprintf(w, "%s: %s\n%s\n", answer, v.Decided, v.Statement)
	default:
		fmt.Fprintf(w, "%s: no statement of its policies allows it (%s)\nthis one would: %s\n", answer, has, v.Allow)
	}
}

func deniedCommand() *cobra.Command {
	c := &cobra.Command{Use: "denied", Short: "What was refused lately: who, what, why, and the statement that would allow it", Args: cobra.NoArgs}
	asJSON := jsonFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		all, err := client().Denied(c.Context())
		if err != nil {
			return err
		}
		if *asJSON {
			return printJSON(c.OutOrStdout(), all)
		}
		rows := [][]string{{"LAST", "TIMES", "PRINCIPAL", "CLIENT", "FROM", "ACTION", "RESOURCE", "WHY", "WOULD ALLOW IT"}}
		for _, d := range all {
			rows = append(rows, []string{
				d.Time.Local().Format(time.DateTime), fmt.Sprint(d.Count), d.Principal, d.Client, d.Remote, d.Action, d.Resource, d.Why, d.Allow,
			})
		}
		return table(c.OutOrStdout(), rows...)
	}
	return c
}
