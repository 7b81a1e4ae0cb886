package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Fault is one mistake in the configuration and where it stands.
type Fault struct {
	File         string // as it was opened
	Line, Column int    // from 1; columns count characters, not bytes
	Path         string // things.boiler.points.setpoint.min; empty: the file as a whole
	Text         string // what is wrong
	Hint         string // what would be right; may be empty
}

// Error is file:line:column: path: text (hint).
func (f Fault) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s:%d:%d: ", f.File, f.Line, f.Column)
	if f.Path != "" {
		b.WriteString(f.Path + ": ")
	}
	b.WriteString(f.Text)
	if f.Hint != "" {
		b.WriteString(" (" + f.Hint + ")")
	}
	return b.String()
}

// Faults are all mistakes of a configuration, in the order of the files and of
// the lines in them.
type Faults []Fault

// Error is one line for each fault.
func (fs Faults) Error() string {
	lines := make([]string, len(fs))
	for i, f := range fs {
		lines[i] = f.Error()
	}
	return strings.Join(lines, "\n")
}

// report collects faults while a configuration is read.
type report struct {
	main   string // the main file comes first, then conf.d by name
	faults Faults
	// covered are paths about which something was said already: what follows
	// from a mistake is not one more mistake.
	covered map[string]bool
}

func newReport(main string) *report {
	return &report{main: main, covered: map[string]bool{}}
}

// add reports a fault beside which what stands at path still counts.
func (r *report) add(at place, path, text, hint string) {
	r.faults = append(r.faults, Fault{at.file, at.line, at.column, path, text, hint})
}

// lost reports a fault that leaves nothing to be read at path.
func (r *report) lost(at place, path, text, hint string) {
	r.add(at, path, text, hint)
	r.covered[path] = true
}

// covers says whether a fault at path would only repeat what was said of path
// or of something that holds it.
func (r *report) covers(path string) bool {
	for path != "" {
		if r.covered[path] {
			return true
		}
		path = path[:max(0, strings.LastIndexAny(path, ".["))]
	}
	return false
}

// err is nil, or the Faults, sorted by place and each said once.
func (r *report) err() error {
	if len(r.faults) == 0 {
		return nil
	}
	rank := func(f Fault) string { return strings.TrimPrefix(f.File, r.main) }
	slices.SortFunc(r.faults, func(a, b Fault) int {
		return cmp.Or(
			cmp.Compare(rank(a), rank(b)), // "" is the least
			cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column),
			cmp.Compare(a.Path, b.Path), cmp.Compare(a.Text, b.Text))
	})
	return slices.Compact(r.faults)
}
