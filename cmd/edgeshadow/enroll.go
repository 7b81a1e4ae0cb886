package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"edgeshadow/cmd/console"
	"edgeshadow/localshadow/access"
)

func enrollCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "enroll THING",
		Short: "Give a device its key and certificate: THING.crt, THING.key, ca.crt",
		Long: "Give a device its key and certificate from the built-in CA, or, with --token, a token that the device\n" +
			"trades once for a certificate: POST /enroll over HTTPS, with its own certificate request.",
		Args: cobra.ExactArgs(1),
	}
	out := c.Flags().String("out", ".", "folder for the files")
	token := c.Flags().Bool("token", false, "print a one-time token instead")
	ttl := c.Flags().Duration("ttl", access.DefaultTokenTime, "how long the token lasts, of the gateway's running time")
	replace := c.Flags().Bool("replace", false, "end the thing's other certificates when the new one is first used")
	asJSON := jsonFlag(c)
	c.MarkFlagsMutuallyExclusive("token", "out")
	c.MarkFlagsMutuallyExclusive("token", "replace")
	c.RunE = func(c *cobra.Command, args []string) error {
		if *token {
			t, err := client().Token(c.Context(), args[0], *ttl)
			if err != nil {
				return err
			}
			if *asJSON {
				return printJSON(c.OutOrStdout(), t)
			}
			printToken(c.OutOrStdout(), t)
			return nil
		}
		if *asJSON {
			b, err := client().Enroll(c.Context(), args[0], *replace)
			if err != nil {
				return err
			}
			return printJSON(c.OutOrStdout(), b)
		}
		return enroll(c, args[0], *out, *replace)
	}
	return c
}

// enroll writes the files of a device. What is there already is not overwritten:
// it may be the only copy of a key.
func enroll(c *cobra.Command, thing, dir string, replace bool) error {
	files := map[string]string{}
	for _, name := range []string{thing + ".crt", thing + ".key", "ca.crt"} {
		files[name] = filepath.Join(dir, filepath.Base(name))
	}
	for _, name := range []string{thing + ".crt", thing + ".key"} {
		if _, err := os.Lstat(files[name]); err == nil {
			return hintedError{fmt.Errorf("%s is there already", files[name]), "--out DIR names another folder"}
		}
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	b, err := client().Enroll(c.Context(), thing, replace)
	if err != nil {
		return err
	}
	err = errors.Join(
		writeNew(files[thing+".key"], []byte(b.Key), 0o600, false),
		writeNew(files[thing+".crt"], []byte(b.Certificate), 0o644, false),
		writeNew(files["ca.crt"], []byte(b.CA), 0o644, true),
	)
	if err != nil {
		return err
	}
	for _, name := range []string{thing + ".crt", thing + ".key", "ca.crt"} {
		fmt.Fprintln(c.OutOrStdout(), files[name])
	}
	printFirst(c.OutOrStdout(), b.Endpoint, thing, files[thing+".crt"], files[thing+".key"], files["ca.crt"])
	return nil
}

const noEndpoint = `no listener admits certificates; in broker.listeners: {address: ":8883", tls: auto}`

// printFirst prints a command that makes the device's shadow.
func printFirst(w io.Writer, endpoint, thing, crt, key, ca string) {
	host, port, err := net.SplitHostPort(endpoint)
	if err != nil {
		fmt.Fprintf(w, "\n%s\n", noEndpoint)
		return
	}
	fmt.Fprintf(w, "\nmosquitto_pub -h %s -p %s --cafile %s --cert %s --key %s -i %s -q 1 -t '$aws/things/%s/shadow/update' -m '{\"state\":{\"reported\":{\"hello\":true}}}'\n",
		host, port, ca, crt, key, thing, thing)
}

func printToken(w io.Writer, t console.Token) {
	fmt.Fprintf(w, "%s\n\nfor %s, once, within %s of running\n", t.Token, t.Thing, t.For)
	fmt.Fprintf(w, "SHA-256 fingerprint of the CA: %s\n", t.CA)
	if t.Endpoint == "" {
		fmt.Fprintf(w, "\nno listener speaks HTTPS; in broker.listeners: {address: \":8444\", protocol: http, tls: auto}\n")
		return
	}
	fmt.Fprintf(w, "\non the device:\n"+
		"openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout %[2]s.key -subj /CN=%[2]s -out %[2]s.csr\n"+
		"curl -fsk https://%[1]s/enroll -o ca.crt && openssl x509 -in ca.crt -noout -fingerprint -sha256   # compare\n"+
		"curl -fs --cacert ca.crt https://%[1]s/enroll -H 'Authorization: Bearer %[3]s' --data-binary @%[2]s.csr -o %[2]s.crt\n",
		t.Endpoint, t.Thing, t.Token)
	printFirst(w, t.Broker, t.Thing, t.Thing+".crt", t.Thing+".key", "ca.crt")
}

func signCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "sign FILE.csr",
		Short: "Sign a certificate request, - for standard input; its common name is the thing's name",
		Args:  cobra.ExactArgs(1),
	}
	out := c.Flags().String("out", "", "file for the certificate; default: standard output")
	c.RunE = func(c *cobra.Command, args []string) error {
		var request []byte
		var err error
		if args[0] == "-" {
			request, err = io.ReadAll(io.LimitReader(c.InOrStdin(), 1<<20))
		} else {
			request, err = os.ReadFile(args[0])
		}
		if err != nil {
			return err
		}
		b, err := client().Sign(c.Context(), request)
		if err != nil {
			return err
		}
		if *out != "" {
			return writeNew(*out, []byte(b.Certificate), 0o644, true)
		}
		_, err = io.WriteString(c.OutOrStdout(), b.Certificate)
		return err
	}
	return c
}

// writeNew writes a file, durably; unless over, one that is there is an error.
func writeNew(path string, data []byte, mode os.FileMode, over bool) error {
	flags := os.O_WRONLY | os.O_CREATE | os.O_EXCL
	if over {
		flags = os.O_WRONLY | os.O_CREATE | os.O_TRUNC
	}
	f, err := os.OpenFile(path, flags, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
}
