package localshadow

import (
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"strings"
)

// marker is a file that exists while the database is being opened, beside it.
// Badger opens tables in goroutines of its own, where a panic ends the process
// whatever we do. The marker is the process's crash output meanwhile, so that
// the next start finds the trace in it and sets the store aside. A kill or a
// power cut leaves a marker without a trace: that alone says nothing against
// the store, and what was acknowledged is in there.
type marker struct {
	path       string
	unfinished int // opens before this one that left a marker without a trace
}

// read returns why the store must not be opened again; "" when it may.
func (m *marker) read() (reason string) {
	text, err := os.ReadFile(m.path)
	if err != nil {
		return ""
	}
	head, trace, _ := strings.Cut(string(text), "\n")
	if trace = strings.TrimSpace(trace); trace != "" {
		first, _, _ := strings.Cut(trace, "\n")
		return "the last open crashed: " + first
	}
	// A marker whose head was not written either counts as the first.
	_, _ = fmt.Sscanf(head, "opening, try %d", &m.unfinished)
	m.unfinished = max(m.unfinished, 1)
	if m.unfinished >= maxUnfinished {
		return fmt.Sprintf("%d opens in a row did not come to an end", m.unfinished)
	}
	return ""
}

// watch writes the marker; what it returns removes it.
func (m *marker) watch() (unwatch func() error, err error) {
	f, err := os.Create(m.path)
	if err != nil {
		return nil, err
	}
	defer f.Close() // the runtime keeps a duplicate
	if _, err := fmt.Fprintf(f, "opening, try %d\n", m.unfinished+1); err != nil {
		return nil, err
	}
	if err := debug.SetCrashOutput(f, debug.CrashOptions{}); err != nil {
		return nil, err
	}
	return func() error {
		return errors.Join(debug.SetCrashOutput(nil, debug.CrashOptions{}), os.Remove(m.path))
	}, nil
}
