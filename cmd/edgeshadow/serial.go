package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	serialport "edgeshadow/adapters/port"
	"edgeshadow/adapters/serial"
)

const (
	// tryLine is how long the settings of a line are listened to: a device that
	// speaks unasked says something within it, most times.
	tryLine = 2 * time.Second
	// maxHeard is how much of what is heard a guess looks at, in bytes.
	maxHeard = 64 << 10
)

func serialCommand() *cobra.Command {
	c := &cobra.Command{Use: "serial", Short: "Commission devices on serial lines", Args: cobra.NoArgs, RunE: group}
	c.AddCommand(serialSniffCommand())
	return c
}

// sniffed is a line of serial sniff --json.
type sniffed struct {
	At    time.Time `json:"at"`
	Raw   string    `json:"raw,omitempty"` // heard, as Go quotes it
	Frame string    `json:"frame,omitempty"`
	Sent  string    `json:"sent,omitempty"` // by the daemon
	Line  string    `json:"line,omitempty"` // the settings that are listened with
}

func serialSniffCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "sniff PORT",
		Short: "Show what goes over a serial line, and guess what it means",
		Long: `Show what goes over a serial line, until interrupted or for as long as --for says. PORT is a path or usb:VID:PID (see
edgeshadow ports). When things of the daemon are on it, the daemon tells what it hears and sends; otherwise the command
opens the port itself.

Without --line the settings are tried one after the other until what is heard is text: that takes a device that speaks
unasked. With --emit yaml a section is printed at the end that finds the numbers in what was heard.`,
		Args: cobra.ExactArgs(1),
	}
	asJSON, emit := jsonFlag(c), emitFlag(c)
	lineText := c.Flags().String("line", "", "baud-bits, parity, stop bits: 9600-8N1; empty: try")
	long := c.Flags().Duration("for", 0, "how long to listen; 0: until interrupted, with --emit 10s")
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := checkEmit(c, *emit); err != nil {
			return err
		}
		if *emit != "" && *long == 0 {
			*long = 10 * time.Second
		}
		s := &sniffer{out: c.OutOrStdout(), port: args[0], asJSON: *asJSON, quiet: *emit != ""}
		ctx := c.Context()
		if *long > 0 {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, *long)
			defer cancel()
		}
		if err := s.listen(ctx, *lineText); err != nil {
			return err
		}
		if *emit != "" {
			return s.emit()
		}
		if len(s.heard) == 0 && !s.told {
			fmt.Fprintln(c.OutOrStdout(), "nothing was heard")
			return quietError{}
		}
		return nil
	}
	return c
}

// sniffer shows one line.
type sniffer struct {
	out    io.Writer
	port   string
	asJSON bool
	quiet  bool
	line   string
	heard  []byte
	told   bool // something was shown
}

// listen listens until ctx ends: through the daemon when things of it are on the
// port, or on the port itself.
func (s *sniffer) listen(ctx context.Context, lineText string) error {
	path, err := serialport.Resolve(s.port)
	if err != nil {
		return err
	}
	status, err := client().Status(ctx)
	for _, b := range status.Buses {
		if err != nil || b.Address == "" || b.Type != "serial" && b.Type != "modbus-rtu" {
			continue
		}
		if theirs, err := serialport.Resolve(b.Address); b.Address != s.port && (err != nil || !samePort(theirs, path)) {
			continue
		}
		if b.Type == "modbus-rtu" {
			return hintedError{fmt.Errorf("%s is bus %s of the daemon", s.port, b.Bus), "edgeshadow modbus watch " + b.Bus + " shows its points"}
		}
		err := client().Tap(ctx, b.Address, func(c serial.Chunk) error { s.show(c); return nil })
		if ctx.Err() != nil || errors.Is(err, context.DeadlineExceeded) {
			return nil
		}
		return err
	}
	return s.open(ctx, lineText)
}

// samePort says whether two paths lead to one device.
func samePort(a, b string) bool {
	one, err := os.Stat(a)
	then, err2 := os.Stat(b)
	return err == nil && err2 == nil && os.SameFile(one, then)
}

// open listens on the port itself.
func (s *sniffer) open(ctx context.Context, lineText string) error {
	line, err := serialport.ParseLine(lineText)
	if lineText != "" && err != nil {
		return fmt.Errorf("--line: %w", err)
	}
	if lineText == "" {
		if line, err = s.try(ctx); err != nil {
			return err
		}
	}
	s.line = line.String()
	if s.asJSON && !s.quiet {
		_ = printLine(s.out, sniffed{At: time.Now(), Line: s.line})
	}
	return s.hear(ctx, line, s.show)
}

// try listens with each setting until what is heard is text, and gives the one
// that is most.
func (s *sniffer) try(ctx context.Context) (best serialport.Line, err error) {
	most := 0.0
	for _, line := range serial.Lines() {
		var heard []byte
		listening, cancel := context.WithTimeout(ctx, tryLine)
		err := s.hear(listening, line, func(c serial.Chunk) {
			if heard = append(heard, c.Raw...); len(heard) >= 256 {
				cancel()
			}
		})
		cancel()
		if err != nil {
			return best, err
		}
		legible := serial.Legible(heard)
		if legible > most {
			best, most = line, legible
		}
		if legible >= 0.95 && len(heard) > 8 || ctx.Err() != nil {
			break
		}
	}
	if best.Baud == 0 {
		return serial.Lines()[0], nil // nothing was heard; the most common one is as good as any
	}
	return best, nil
}

// hear opens the port and calls next with what comes until ctx ends.
func (s *sniffer) hear(ctx context.Context, line serialport.Line, next func(serial.Chunk)) error {
	p, err := serialport.Open(s.port, line, nil)
	if err != nil {
		return err
	}
	defer p.Close()
	buf := make([]byte, 4096)
	for ctx.Err() == nil {
		n, err := p.Read(buf, 50*time.Millisecond)
		switch {
		case n > 0:
			next(serial.Chunk{Raw: buf[:n]})
		case err != nil && !errors.Is(err, os.ErrDeadlineExceeded):
			return fmt.Errorf("listen on %s: %w", s.port, err)
		}
	}
	return nil
}

// show shows a chunk, and keeps what was heard for a guess.
func (s *sniffer) show(c serial.Chunk) {
	if len(s.heard) < maxHeard {
		s.heard = append(s.heard, c.Raw...)
	}
	s.told = true
	if s.quiet {
		return
	}
	for _, part := range []struct {
		name string
		raw  []byte
	}{{"heard", c.Raw}, {"frame", c.Frame}, {"sent", c.Sent}} {
		if part.raw == nil {
			continue
		}
		if !s.asJSON {
			fmt.Fprintf(s.out, "%s  %-5s  %q\n", time.Now().Format("15:04:05.000"), part.name, part.raw)
			continue
		}
		line := sniffed{At: time.Now()}
		*map[string]*string{"heard": &line.Raw, "frame": &line.Frame, "sent": &line.Sent}[part.name] = strings.Trim(fmt.Sprintf("%q", part.raw), `"`)
		_ = printLine(s.out, line) // nobody reads any more
	}
}

// emit prints a section that finds the values in what was heard.
func (s *sniffer) emit() error {
	section, frames, ok := serial.Guess(s.heard)
	if !ok {
		return hintedError{
			fmt.Errorf("%d bytes were heard on %s, and nothing in them is to be recognised", len(s.heard), s.port),
			"listen longer (--for 1m), set --line, and look at it: edgeshadow serial sniff " + s.port,
		}
	}
	name := s.port
	if stable := (serialport.Machine{}).Unstable(name); stable != "" {
		name = stable
	}
	fmt.Fprintf(s.out, "things:\n  line-1: # %.60q\n    serial:\n      port: %s\n", frames[len(frames)-1], name)
	if s.line != "" {
		fmt.Fprintf(s.out, "      line: %s\n", s.line)
	}
	if f := section.Frame; f != (serial.Frame{}) {
		parts := []string{}
		for _, p := range [][2]string{{"start", f.Start}, {"end", f.End}} {
			if p[1] != "" {
				parts = append(parts, fmt.Sprintf("%s: '%s'", p[0], p[1]))
			}
		}
		fmt.Fprintf(s.out, "      frame: {%s}\n", strings.Join(parts, ", "))
	}
	if section.Check.Type != "" {
		fmt.Fprintf(s.out, "      check: %s\n", section.Check.Type)
	}
	if section.Parse != "" {
		fmt.Fprintf(s.out, "      parse: '%s'\n", strings.ReplaceAll(section.Parse, "'", "''"))
	}
	for _, m := range []struct {
		key    string
		values map[string]string
	}{{"json", section.JSON}, {"nmea", section.NMEA}} {
		if len(m.values) == 0 {
			continue
		}
		fmt.Fprintf(s.out, "      %s:\n", m.key)
		for _, name := range slices.Sorted(maps.Keys(m.values)) {
			fmt.Fprintf(s.out, "        %s: %q\n", name, m.values[name])
		}
	}
	return nil
}
