package main

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"edgeshadow/cmd/doctor"
)

func doctorCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "doctor",
		Short: "Examine clock, disk, ports, and the way to the cloud up to each permission; print the policy that is needed",
		Args:  cobra.NoArgs,
	}
	path, asJSON := configFlag(c), jsonFlag(c)
	interrupt := c.Flags().Bool("interrupt", false, "try the permissions though the daemon is connected: that interrupts its uplink for some seconds")
	policy := c.Flags().Bool("policy", false, "only print the policy document")
	c.RunE = func(c *cobra.Command, _ []string) error {
		out := c.OutOrStdout()
		d := &doctor.Doctor{Path: *path, Daemon: client(), Interrupt: *interrupt, User: "edgeshadow"}
		if *policy {
			p, err := d.Needs(c.Context())
			if err != nil {
				return faulty(c, err)
			}
			return printJSON(out, p)
		}
		if !*asJSON {
			d.Told = func(c doctor.Check) {
				fmt.Fprintf(out, "%-5s %s: %s\n", c.Result, c.Name, c.Text)
				if c.Hint != "" {
					fmt.Fprintf(out, "      hint: %s\n", c.Hint)
				}
			}
		}
		report := d.Examine(c.Context())
		if *asJSON {
			if err := printJSON(out, report); err != nil {
				return err
			}
		} else if report.Policy != nil {
			text, err := json.MarshalIndent(report.Policy, "", "  ")
			if err != nil {
				return err
			}
			fmt.Fprintf(out, "\nThe least that the policy of this gateway's certificate must allow, with your account in place of ACCOUNT:\n%s\n", text)
		}
		if report.Failed() {
			return quietError{}
		}
		return nil
	}
	return c
}
