// Command edgeshadow is the edge gateway: the daemon and the tools around it,
// one file per subcommand.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"edgeshadow/cmd/console"
	"edgeshadow/config"
)

// Exit codes.
const (
	exitDone        = 0
	exitNo          = 1 // the answer is no, or the input is wrong
	exitUsage       = 2
	exitUnreachable = 3 // the daemon can't be reached
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run is main with its streams and its exit code.
func run(args []string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	root := command()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitDone
	}
	var quiet quietError
	var usage usageError
	var hinted interface{ Hint() string }
	if errors.As(err, &quiet) {
		return exitNo
	}
	fmt.Fprintf(stderr, "edgeshadow: %v\n", err)
	switch {
	case errors.As(err, &usage):
		fmt.Fprintf(stderr, "hint: %s --help\n", usage.command)
		return exitUsage
	case errors.Is(err, console.ErrUnreachable):
		fmt.Fprintln(stderr, "hint: is it running? systemctl status edgeshadow; EDGESHADOW_SOCKET names another socket")
		return exitUnreachable
	case errors.As(err, &hinted) && hinted.Hint() != "":
		fmt.Fprintf(stderr, "hint: %s\n", hinted.Hint())
	}
	return exitNo
}

// quietError ends with exit 1 after a command has said all there is to say.
type quietError struct{}

func (quietError) Error() string { return "" }

// hintedError has a cure.
type hintedError struct {
	error
	hint string
}

func (e hintedError) Hint() string  { return e.hint }
func (e hintedError) Unwrap() error { return e.error }

// usageError is a wrong call.
type usageError struct {
	error
	command string
}

func (e usageError) Unwrap() error { return e.error }

// command is the whole command line.
func command() *cobra.Command {
	root := &cobra.Command{
		Use:           "edgeshadow",
		Short:         "Edge gateway: device gateway, device shadows, field adapters and a bridge to AWS IoT",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		RunE:          group,
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.AddCommand(
		runCommand(),
		checkCommand(),
		demoCommand(),
		statusCommand(),
		thingCommand(),
		accessCommand(),
		shadowCommand(),
		syncCommand(),
		relayCommand(),
		pubCommand(),
		subCommand(),
		pubsubCommand(),
		versionCommand(),
		manCommand(),
		configCommand(),
		reloadCommand(),
		setupCommand(),
		doctorCommand(),
		backupCommand(),
		restoreCommand(),
		modbusCommand(),
		portsCommand(),
		serialCommand(),
		bleCommand(),
	)
	misuse(root)
	return root
}

// group is a command that only has subcommands: alone it shows its help, and
// that is wrong usage.
func group(c *cobra.Command, _ []string) error {
	return usageError{fmt.Errorf("%s wants one of: %s", c.CommandPath(), strings.Join(subcommands(c), ", ")), c.CommandPath()}
}

func subcommands(c *cobra.Command) []string {
	var names []string
	for _, sub := range c.Commands() {
		if sub.IsAvailableCommand() {
			names = append(names, sub.Name())
		}
	}
	return names
}

// misuse makes wrong flags and arguments usage errors, everywhere.
func misuse(c *cobra.Command) {
	c.SetFlagErrorFunc(func(c *cobra.Command, err error) error { return usageError{err, c.CommandPath()} })
	if check := c.Args; check != nil {
		c.Args = func(c *cobra.Command, args []string) error {
			if err := check(c, args); err != nil {
				return usageError{err, c.CommandPath()}
			}
			return nil
		}
	}
	for _, sub := range c.Commands() {
		misuse(sub)
	}
}

// configFlag adds -c, whose default is EDGESHADOW_CONFIG or the daemon's place.
func configFlag(c *cobra.Command) *string {
	path := os.Getenv("EDGESHADOW_CONFIG")
	if path == "" {
		path = config.DefaultPath
	}
	return c.Flags().StringP("config", "c", path, "configuration file; conf.d/*.yaml beside it are read too")
}

// client talks to the daemon of this machine.
func client() *console.Client {
	socket := os.Getenv("EDGESHADOW_SOCKET")
	if socket == "" {
		socket = console.DefaultSocket
	}
	return console.NewClient(socket)
}
