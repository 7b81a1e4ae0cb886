package bridge

import (
	"fmt"
	"path"
	"strings"

	"edgeshadow/localshadow/shadow"
)

// Owner says who wins a value that both sides changed.
type Owner string

const (
	CloudWins Owner = "cloud"
	LocalWins Owner = "local"
)

// Direction says which way changes go.
type Direction string

const (
	Both Direction = "both"
	Up   Direction = "up"   // the cloud follows
	Down Direction = "down" // the gateway follows
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

// Config is the section "sync" of the configuration.
type Config struct {
	Things    []string   `yaml:"things"`  // patterns; "!" takes out; the last that matches counts
	Shadows   []string   `yaml:"shadows"` // the same for shadow names; the classic shadow's is empty, which "*" matches. Each thing is asked for those named in full
	Conflict  Conflict   `yaml:"conflict"`
	Direction Direction  `yaml:"direction"`
	Overrides []Override `yaml:"overrides"` // the first whose patterns match
}

// Override replaces what it names for some shadows.
type Override struct {
	Things    []string  `yaml:"things"`  // none: any
	Shadows   []string  `yaml:"shadows"` // none: any
	Conflict  Conflict  `yaml:"conflict"`
	Direction Direction `yaml:"direction"`
}

// Default syncs everything both ways; commands belong to the cloud, measured
// state to the device.
func Default() Config {
	return Config{
		Things: []string{"*"}, Shadows: []string{"*"},
		Conflict: Conflict{CloudWins, LocalWins}, Direction: Both,
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
	owner := func(field string, o Owner, optional bool) {
		switch {
		case o == CloudWins, o == LocalWins, o == "" && optional:
		case o == "newest":
			fault(field, "newest is not available in this version; cloud and local are")
		default:
			fault(field, "%q is unknown; want cloud or local", string(o))
		}
	}
	direction := func(field string, d Direction, optional bool) {
		if d != Both && d != Up && d != Down && !(d == "" && optional) {
			fault(field, "%q is unknown; want both, up or down", string(d))
		}
	}
	patterns("things", c.Things)
	patterns("shadows", c.Shadows)
	owner("conflict.desired", c.Conflict.Desired, false)
	owner("conflict.reported", c.Conflict.Reported, false)
	direction("direction", c.Direction, false)
	for i, o := range c.Overrides {
		at := fmt.Sprintf("overrides[%d].", i)
		patterns(at+"things", o.Things)
		patterns(at+"shadows", o.Shadows)
		owner(at+"conflict.desired", o.Conflict.Desired, true)
		owner(at+"conflict.reported", o.Conflict.Reported, true)
		direction(at+"direction", o.Direction, true)
	}
	return faults
}

// rule is what the configuration says of one shadow.
type rule struct {
	policy    shadow.Policy
	direction Direction
}

// rule applies the first override that matches.
func (c Config) rule(id shadow.ID) rule {
	conflict, direction := c.Conflict, c.Direction
	for _, o := range c.Overrides {
		if (len(o.Things) > 0 && !matches(o.Things, id.Thing)) || (len(o.Shadows) > 0 && !matches(o.Shadows, id.Name)) {
			continue
		}
		if o.Conflict.Desired != "" {
			conflict.Desired = o.Conflict.Desired
		}
		if o.Conflict.Reported != "" {
			conflict.Reported = o.Conflict.Reported
		}
		if o.Direction != "" {
			direction = o.Direction
		}
		break
	}
	r := rule{shadow.Policy{Desired: side(conflict.Desired), Reported: side(conflict.Reported)}, direction}
	switch direction { // the side that only follows never wins
	case Up:
		r.policy.Desired, r.policy.Reported = shadow.Local, shadow.Local
	case Down:
		r.policy.Desired, r.policy.Reported = shadow.Cloud, shadow.Cloud
	}
	return r
}

func side(o Owner) shadow.Side {
	if o == LocalWins {
		return shadow.Local
	}
	return shadow.Cloud
}

// syncs tells whether the patterns take a shadow in.
func (c Config) syncs(id shadow.ID) bool {
	return matches(c.Things, id.Thing) && matches(c.Shadows, id.Name)
}

// names are the shadows that a thing is asked for although nobody has heard of
// them: the classic one, and each that is named without a wildcard.
func (c Config) names() []string {
	names := []string{""}
	for _, p := range c.Shadows {
		if !strings.ContainsAny(p, `!*?[\`) {
			names = append(names, p)
		}
	}
	return names
}

// matches asks the patterns in order; the last that matches counts.
func matches(patterns []string, name string) bool {
	in := false
	for _, p := range patterns {
		p, out := strings.CutPrefix(p, "!")
		if ok, _ := path.Match(p, name); ok {
			in = !out
		}
	}
	return in
}
