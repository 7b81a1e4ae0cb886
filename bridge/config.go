package bridge

import (
	"fmt"
	"path"
	"strings"
	"time"
)

// Owner says who wins a value that both sides changed.
type Owner string

const (
	CloudWins  Owner = "cloud"
	LocalWins  Owner = "local"
	NewestWins Owner = "newest" // when the times are known and far enough apart; else the section's default
)

// Direction says which way changes go.
type Direction string

const (
	Both Direction = "both"
	Up   Direction = "up"   // the cloud follows
	Down Direction = "down" // the gateway follows
)

// Words of the options that are neither owners nor directions.
const (
	Merge       = "merge"        // first_sync: leaf by leaf, as ever
	Section     = "section"      // delete: takes every leaf, but each section obeys its owner
	Propagate   = "propagate"    // delete: takes the other side along
	Ignore      = "ignore"       // delete: of one side is no business of the other
	Hold        = "hold"         // oversize: nothing is sent until it fits
	Partial     = "partial"      // oversize: removals, then the members that fit
	UpdateFirst = "update-first" // reconcile: a push on a condition, which saves the get when it holds
	GetFirst    = "get-first"    // reconcile: for fleets whose shadows mostly change during outages
)

// Conflict is the owner of each section. In a file one word serves both.
type Conflict struct {
	Desired  Owner `yaml:"desired"`
	Reported Owner `yaml:"reported"`
}

// UnmarshalYAML takes one word, or a word for each section.
func (c *Conflict) UnmarshalYAML(unmarshal func(any) error) error {
	var word string
	if unmarshal(&word) == nil {
		c.Desired, c.Reported = Owner(word), Owner(word)
		return nil
	}
	type sections Conflict
	return unmarshal((*sections)(c))
}

// Options say how one shadow is reconciled. In an override, what is empty
// leaves the general option.
type Options struct {
	Conflict  Conflict  `yaml:"conflict"`
	Direction Direction `yaml:"direction"`
	FirstSync string    `yaml:"first_sync"` // merge, cloud, local: when both sides have a shadow that they never shared
	Delete    string    `yaml:"delete"`     // section, propagate, ignore
	Oversize  string    `yaml:"oversize"`   // hold, partial
	Reconcile string    `yaml:"reconcile"`  // update-first, get-first
	// MinPushInterval is the least time between two pushes of one shadow, so
	// that what changes often coalesces.
	MinPushInterval time.Duration `yaml:"min_push_interval"`
}

// Config is the section "sync" of the configuration.
type Config struct {
	Things    []string `yaml:"things"`  // patterns; "!" takes out; the last that matches counts
	Shadows   []string `yaml:"shadows"` // the same for shadow names; the classic shadow's is empty, which "*" matches. Each thing is asked for those named in full
	Options   `yaml:",inline"`
	Overrides []Override `yaml:"overrides"` // the first whose patterns match

	Budget Budget `yaml:"-"` // of the connection, and so of its section
}

// Override replaces what it names for some shadows.
type Override struct {
	Things  []string `yaml:"things"`  // none: any
	Shadows []string `yaml:"shadows"` // none: any
	Options `yaml:",inline"`
}

// Default syncs everything both ways; commands belong to the cloud, measured
// state to the device.
func Default() Config {
	return Config{
		Things: []string{"*"}, Shadows: []string{"*"},
		Options: Options{
			Conflict: Conflict{CloudWins, LocalWins}, Direction: Both,
			FirstSync: Merge, Delete: Section, Oversize: Hold, Reconcile: UpdateFirst,
			MinPushInterval: pushInterval,
		},
	}
}

// FieldError is a fault of the configuration; Path is below the section.
type FieldError struct{ Path, Text string }

func (e *FieldError) Error() string { return e.Path + ": " + e.Text }

// Validate tells every fault.
func (c Config) Validate() []error {
	var faults []error
	fault := func(field, format string, args ...any) {
		faults = append(faults, &FieldError{field, fmt.Sprintf(format, args...)})
	}
	patterns := func(field string, list []string) {
		for i, p := range list {
			if _, err := path.Match(strings.TrimPrefix(p, "!"), ""); err != nil || strings.TrimPrefix(p, "!") == "" {
				fault(fmt.Sprintf("%s[%d]", field, i), "%q is no pattern", p)
			}
		}
	}
	patterns("things", c.Things)
	patterns("shadows", c.Shadows)
	c.Options.validate("", false, fault)
	for i, o := range c.Overrides {
		at := fmt.Sprintf("overrides[%d].", i)
		patterns(at+"things", o.Things)
		patterns(at+"shadows", o.Shadows)
		o.Options.validate(at, true, fault)
	}
	return faults
}

// validate checks the words; optional ones may be empty.
func (o Options) validate(at string, optional bool, fault func(field, format string, args ...any)) {
	word := func(field, got string, want ...string) {
		if got == "" && optional {
			return
		}
		for _, w := range want {
			if got == w {
				return
			}
		}
		last := len(want) - 1
		fault(at+field, "%q is unknown; want %s or %s", got, strings.Join(want[:last], ", "), want[last])
	}
	word("conflict.desired", string(o.Conflict.Desired), "cloud", "local", "newest")
	word("conflict.reported", string(o.Conflict.Reported), "cloud", "local", "newest")
	word("direction", string(o.Direction), "both", "up", "down")
	word("first_sync", o.FirstSync, Merge, string(CloudWins), string(LocalWins))
	word("delete", o.Delete, Section, Propagate, Ignore)
	word("oversize", o.Oversize, Hold, Partial)
	word("reconcile", o.Reconcile, UpdateFirst, GetFirst)
	if o.MinPushInterval < 0 || o.MinPushInterval > time.Hour {
		fault(at+"min_push_interval", "%v is out of range; want up to 1h", o.MinPushInterval)
	}
}
