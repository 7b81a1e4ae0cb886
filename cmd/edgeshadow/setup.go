package main

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

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
	buses := c.Flags().StringArray("bus", nil, "a Modbus bus: NAME=PORT,LINE or NAME=HOST; may be given many times")
	yes := c.Flags().Bool("yes", false, "ask nothing")
	c.RunE = func(c *cobra.Command, _ []string) error {
		a.Buses = map[string]string{}
		for _, b := range *buses {
			name, where, ok := strings.Cut(b, "=")
			if !ok {
				return usageError{fmt.Errorf("--bus %s is neither NAME=PORT,LINE nor NAME=HOST", b), c.CommandPath()}
			}
			a.Buses[name] = where
		}
		if !*yes {
			var err error
			q := &setup.Asker{In: bufio.NewReader(c.InOrStdin()), Out: c.OutOrStdout(), Ports: port.List}
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
  aws iot create-policy --policy-name %[2]s --policy-document file://policy.json     # edgeshadow doctor prints it
  aws iot attach-policy --policy-name %[2]s --target CERTIFICATE_ARN
and bring the certificate here:
  edgeshadow setup --yes --certificate gateway.pem.crt
`, out.Request, out.Config.Gateway.Thing)
	}
	fmt.Fprintln(w, "\nThen: edgeshadow doctor; edgeshadow reload, or systemctl restart edgeshadow")
}
