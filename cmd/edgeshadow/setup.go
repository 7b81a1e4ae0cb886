package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"edgeshadow/adapters"
	"edgeshadow/adapters/ble"
	"edgeshadow/adapters/modbus"
	"edgeshadow/adapters/port"
	"edgeshadow/cmd/setup"
)

func setupCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "setup",
		Short: "Ask what there is to ask and write ordinary configuration; safe to run again",
		Example: `  edgeshadow setup
  edgeshadow setup --yes --thing gw-hall-1 --endpoint xxxxxxxx-ats.iot.eu-central-1.amazonaws.com
  edgeshadow setup --yes --certificate gateway.pem.crt
  edgeshadow setup --yes --bus rs485-a=/dev/serial/by-id/usb-FTDI_A50285BI,9600-8N1 --bus plc=10.0.0.20`,
		Args: cobra.NoArgs,
	}
	path := configFlag(c)
	var a setup.Answers
	c.Flags().StringVar(&a.Thing, "thing", "", "name of this gateway, as a thing")
	c.Flags().StringVar(&a.Endpoint, "endpoint", "", "endpoint of the cloud; a key and a signing request are made for it")
	c.Flags().StringVar(&a.Certificate, "certificate", "", "the certificate that the cloud gave for the request: a PEM file")
	c.Flags().StringToStringVar(&a.Sensors, "ble", nil, "a Bluetooth sensor that becomes a thing: NAME=MAC; may be given many times")
	scan := c.Flags().Bool("scan", false, "ask all units on each --bus for a sign of life, and note who answers")
	units := c.Flags().String("units", "1-247", "which units --scan asks: 1-247, or 1,5,10-20")
	buses := c.Flags().StringArray("bus", nil, "a Modbus bus: NAME=PORT,LINE or NAME=HOST; may be given many times")
	yes := c.Flags().Bool("yes", false, "ask nothing")
	c.RunE = func(c *cobra.Command, _ []string) error {
		ids, err := parseUnits(*units)
		if err != nil {
			return usageError{err, c.CommandPath()}
		}
		a.Buses = map[string]string{}
		for _, b := range *buses {
			name, where, ok := strings.Cut(b, "=")
			if !ok {
				return usageError{fmt.Errorf("--bus %s is neither NAME=PORT,LINE nor NAME=HOST", b), c.CommandPath()}
			}
			a.Buses[name] = where
			if *scan {
				units, err := findUnits(c.Context(), where, ids)
				if err != nil {
					return fmt.Errorf("scan %s: %w", name, err)
				}
				if a.Units == nil {
					a.Units = map[string][]string{}
				}
				a.Units[name] = units
			}
		}
		if !*yes {
			q := &setup.Asker{In: bufio.NewReader(c.InOrStdin()), Out: c.OutOrStdout(), Ports: port.List,
				Units:   func(where string) ([]string, error) { return findUnits(c.Context(), where, ids) },
				Sensors: func() ([]setup.Sensor, error) { return findSensors(c.Context()) },
			}
			if a, err = q.Ask(*path, a); err != nil {
				return err
			}
		}
		out, err := setup.Apply(*path, a)
		if err != nil {
			return faulty(c, err)
		}
		printSetup(c.OutOrStdout(), out)
		return nil
	}
	return c
}

func printSetup(w io.Writer, out setup.Outcome) {
	for _, name := range out.Wrote {
		fmt.Fprintf(w, "wrote %s\n", name)
	}
	for _, where := range out.Kept {
		fmt.Fprintf(w, "left as it is: %s\n", where)
	}
	if len(out.Wrote) == 0 {
		fmt.Fprintln(w, "nothing to change")
	}
	if out.Request != "" {
		fmt.Fprintf(w, `
The key stays on this machine. Have the request signed, where you are logged in to AWS:
  aws iot create-certificate-from-csr --set-as-active --certificate-signing-request file://%s --certificate-pem-outfile gateway.pem.crt
  aws iot create-policy --policy-name %[2]s --policy-document file://policy.json     # edgeshadow doctor --policy >policy.json
  aws iot attach-policy --policy-name %[2]s --target CERTIFICATE_ARN
and bring the certificate here:
  edgeshadow setup --yes --certificate gateway.pem.crt
`, out.Request, out.Config.Gateway.Thing)
	}
	fmt.Fprintln(w, "\nThen: edgeshadow doctor; edgeshadow reload (for a first cloud: systemctl restart edgeshadow)")
}

// findUnits are the units that answer on a bus that is not the daemon's yet.
func findUnits(ctx context.Context, where string, ids []byte) (found []string, err error) {
	cfg := modbus.Config{Type: modbus.TCP, Host: where, Timeout: unitTimeout}
	if name, line, serial := strings.Cut(where, ","); serial {
		l, err := port.ParseLine(line)
		if err != nil {
			return nil, err
		}
		cfg = modbus.Config{Type: modbus.RTU, Port: name, Line: l, Timeout: unitTimeout}
	}
	bus := modbus.New("setup", cfg, nil, nil)
	running, stop := context.WithCancel(ctx)
	var wait sync.WaitGroup
	wait.Go(func() { _ = bus.Run(running, nil) })
	defer wait.Wait()
	defer stop()
	for _, id := range ids {
		says, err := askUnit(ctx, bus, id, unitTimeout)
		if err != nil {
			return nil, err
		}
		if says != "" {
			found = append(found, fmt.Sprintf("unit %d, %s", id, says))
		}
	}
	return found, nil
}

// unitTimeout is how long a unit has for its sign of life.
const unitTimeout = 200 * time.Millisecond

// findSensors listens for a while.
func findSensors(ctx context.Context) (found []setup.Sensor, err error) {
	driver, err := ble.New(nil, nil)
	if err != nil {
		return nil, err
	}
	const listen = 15 * time.Second
	ctx, cancel := context.WithTimeout(ctx, listen)
	defer cancel()
	if err := driver.Run(ctx, func(...adapters.Reading) {}); err != nil {
		return nil, err
	}
	if s := driver.Stats(); s.Err != "" {
		return nil, errors.New(s.Err)
	}
	for _, seen := range driver.Seen() {
		for _, frame := range seen.Frames {
			found = append(found, setup.Sensor{MAC: seen.MAC, Says: strings.TrimSpace(seen.Name + " " + frame.Format + " " + frame.Text)})
			break
		}
	}
	return found, nil
}
