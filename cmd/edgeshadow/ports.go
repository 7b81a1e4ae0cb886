package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	serialport "edgeshadow/adapters/port"
)

// portInfo is a port and who has it.
type portInfo struct {
	serialport.Info
	UsedBy string `json:"used_by,omitempty"` // a bus of the daemon, or the things on the port
}

func portsCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "ports",
		Short: "List the serial ports of this machine",
		Long: `List the serial ports of this machine. NAME is what belongs into the configuration: it follows the device, or its
socket, and not the order of plugging as PATH does.`,
		Args: cobra.NoArgs,
	}
	asJSON := jsonFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		list, err := serialport.List()
		if err != nil {
			return err
		}
		owners := portOwners(c.Context())
		ports := make([]portInfo, len(list))
		for i, info := range list {
			ports[i].Info = info
			for _, name := range []string{info.Path, info.ByID, info.ByPath, info.USB} {
				if ports[i].UsedBy == "" && name != "" {
					ports[i].UsedBy = owners[name]
				}
			}
		}
		if *asJSON {
			return printJSON(c.OutOrStdout(), ports)
		}
		if len(ports) == 0 {
			fmt.Fprintln(c.OutOrStdout(), "no serial port is plugged in")
			return quietError{}
		}
		rows := [][]string{{"PATH", "NAME", "USB", "DEVICE", "DRIVER", "USED BY"}}
		for _, p := range ports {
			rows = append(rows, []string{p.Path, p.Stable(), p.USB, strings.TrimSpace(p.Manufacturer + " " + p.Product), p.Driver, p.UsedBy})
		}
		return table(c.OutOrStdout(), rows...)
	}
	return c
}

// portOwners are the daemon's buses and lines by their ports; none without a daemon.
func portOwners(ctx context.Context) map[string]string {
	owners := map[string]string{}
	status, err := client().Status(ctx)
	if err != nil {
		return owners
	}
	for _, b := range status.Buses {
		switch b.Type {
		case "serial":
			var things []string
			for _, t := range status.Things {
				if t.Bus == b.Bus {
					things = append(things, t.Name)
				}
			}
			owners[b.Address] = strings.Join(things, ", ")
		case "modbus-rtu":
			owners[b.Address] = "bus " + b.Bus
		}
	}
	return owners
}
