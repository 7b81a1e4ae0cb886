package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"edgeshadow/adapters/modbus"
	serialport "edgeshadow/adapters/port"
	"edgeshadow/cmd/console"
	"edgeshadow/config"
)

func modbusCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "modbus",
		Short: "Commission Modbus devices: find, read, write, watch and understand them",
		Long: `Commission Modbus devices: find, read, write, watch and understand them.

TARGET is a bus of the configuration, host:port, or a serial port (/dev/…, usb:VID:PID). When the daemon owns it, the
daemon asks on its bus, between its own requests; otherwise the command opens it itself. AT is table:address, zero-based
(coil, discrete, input, holding), or a document's number: holding:11 is 40012.`,
		Args: cobra.NoArgs, RunE: group,
	}
	c.AddCommand(modbusScanCommand(), modbusReadCommand(), modbusWriteCommand(), modbusWatchCommand(), modbusPlanCommand(), modbusGuessCommand())
	return c
}

// exchanger does one request: the daemon's bus, or a bus of our own.
type exchanger interface {
	Exchange(ctx context.Context, r modbus.Request) ([]uint16, error)
}

// daemonBus is a bus that the daemon owns.
type daemonBus struct {
	client *console.Client
	name   string
}

func (b daemonBus) Exchange(ctx context.Context, r modbus.Request) ([]uint16, error) {
	return b.client.Exchange(ctx, b.name, r)
}

// targetFlags are how a target is reached that no configuration describes.
type targetFlags struct {
	config, line *string
	rtu          *bool
	unit         *uint8
	timeout      *time.Duration
}

func addTargetFlags(c *cobra.Command, timeout time.Duration) targetFlags {
	f := c.Flags()
	return targetFlags{
		config: configFlag(c), line: f.String("line", "9600-8N1", "of a serial port: baud-bits, parity, stop bits"),
		rtu:  f.Bool("rtu", false, "host:port passes RTU frames through"),
		unit: f.Uint8("unit", 1, "the unit"), timeout: f.Duration("timeout", timeout, "for an answer"),
	}
}

// open finds who is to do the requests. done gives it back.
func (f targetFlags) open(ctx context.Context, target string) (ex exchanger, done func(), err error) {
	done = func() {}
	daemon := client()
	status, daemonErr := daemon.Status(ctx)
	for _, b := range status.Buses {
		if strings.HasPrefix(b.Type, "modbus-") && (b.Bus == target || b.Address == target || b.Address == target+":502") {
			return daemonBus{daemon, b.Bus}, done, nil
		}
	}
	cfg := modbus.Config{Type: modbus.TCP, Host: target, Timeout: *f.timeout}
	switch {
	case serialport.ValidName(target) == nil:
		line, err := serialport.ParseLine(*f.line)
		if err != nil {
			return nil, done, fmt.Errorf("--line: %w", err)
		}
		cfg = modbus.Config{Type: modbus.RTU, Port: target, Line: line, Timeout: *f.timeout}
	case strings.ContainsAny(target, ".:"):
		if *f.rtu {
			cfg.Type = modbus.RTUTCP
		}
	default:
		loaded, err := config.Load(*f.config)
		if err != nil {
			return nil, done, fmt.Errorf("bus %s: %w", target, err)
		}
		known := false
		if cfg, known = loaded.Buses[target]; !known {
			hint := "name host:port, or a serial port"
			if names := slices.Sorted(maps.Keys(loaded.Buses)); len(names) > 0 {
				hint = "buses: " + strings.Join(names, " ") + "; or " + hint
			}
			return nil, done, hintedError{fmt.Errorf("no bus %s in %s", target, *f.config), hint}
		}
		if daemonErr == nil {
			return nil, done, fmt.Errorf("bus %s is not the daemon's yet; edgeshadow reload", target)
		}
	}
	bus := modbus.New(target, cfg, nil, nil)
	running, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { _ = bus.Run(running, nil) })
	return bus, func() { stop(); wg.Wait() }, nil
}
