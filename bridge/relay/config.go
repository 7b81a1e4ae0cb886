package relay

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Config is the section "relay" of the configuration: rules by name.
type Config map[string]Rule

// Rule says where messages go. From is a filter and To a topic, each with the
// side before it: local: or cloud:. In To, {1} is what the first "+" of From
// matched, and a last level {#} what its "#" did.
type Rule struct {
	From string `yaml:"from"`
	To   string `yaml:"to"`
	// QoS is that of the way through the link, 0 or 1; nil: 1.
	QoS *int `yaml:"qos"`
	// Class is the journal of messages to the cloud; empty: telemetry.
	Class string `yaml:"class"`
	// Retain is strip, the default, keep or set.
	Retain Retain `yaml:"retain"`
	// Envelope wraps the payload with the sequence number and the boot of the
	// gateway; see envelope.go for its form.
	Envelope bool `yaml:"envelope"`
}

// Retain says what becomes of the retain flag of a message.
type Retain string

const (
	Strip Retain = "strip"
	Keep  Retain = "keep" // as it came; a broker passes the flag on only to new subscribers
	Set   Retain = "set"  // on every message: the other side keeps the last one
)

// Classes is the section "journal" of the configuration: the bounds of each
// class. Those of DefaultClasses are there always.
type Classes map[string]Class

// Class bounds a journal.
type Class struct {
	// Size of its files on disk.
	Size Size `yaml:"size"`
	// Age is how long a message is kept that can't be sent, while the gateway
	// runs; 0: as long as there is room.
	Age time.Duration `yaml:"age"`
	// Full says what happens when there is no room.
	Full Full `yaml:"full"`
}

// Full is the policy of a journal without room.
type Full string

const (
	// Oldest drops the oldest messages.
	Oldest Full = "oldest"
	// Latest keeps only the last message of each topic, and drops the oldest
	// when that is not enough.
	Latest Full = "latest"
	// Refuse keeps what there is: new messages are not acknowledged.
	Refuse Full = "refuse"
)

// DefaultClass is that of a rule that names none.
const DefaultClass = "telemetry"

// DefaultClasses are there without being configured: measurements, of which the
// newest count; states, of which the last one does; and events, none of which
// may be lost as long as there is room.
func DefaultClasses() Classes {
	return Classes{
		DefaultClass: {Size: 64 << 20, Age: 7 * 24 * time.Hour, Full: Oldest},
		"state":      {Size: 8 << 20, Full: Latest},
		"event":      {Size: 32 << 20, Full: Refuse},
	}
}

const (
	minSize = 1 << 20 // several of the largest messages
	maxSize = 64 << 30
)

// complete fills in what a class leaves out, and adds the default classes.
func (c Classes) complete() Classes {
	out := DefaultClasses()
	for name, class := range c {
		base, known := out[name]
		if !known {
			base = Class{Size: out[DefaultClass].Size, Full: Oldest}
		}
		if class.Size != 0 {
			base.Size = class.Size
		}
		if class.Age != 0 {
			base.Age = class.Age
		}
		if class.Full != "" {
			base.Full = class.Full
		}
		out[name] = base
	}
	return out
}

// FieldError is a fault of the configuration; Path is below its section.
type FieldError struct{ Path, Text string }

func (e *FieldError) Error() string { return e.Path + ": " + e.Text }

// Validate names every fault.
func (c Classes) Validate() []error {
	var faults []error
	for _, name := range slices.Sorted(maps.Keys(c)) {
		class := c[name]
		fault := func(key, format string, args ...any) {
			faults = append(faults, &FieldError{name + key, fmt.Sprintf(format, args...)})
		}
		if !validClassName(name) {
			fault("", "want a name of 1 to 32 of a-z 0-9 _ -")
		}
		if class.Size != 0 && (class.Size < minSize || class.Size > maxSize) {
			fault(".size", "%s is not between %s and %s", class.Size, Size(minSize), Size(maxSize))
		}
		if class.Age < 0 {
			fault(".age", "%s is negative", class.Age)
		}
		switch class.Full {
		case "", Oldest, Latest, Refuse:
		default:
			fault(".full", "%q is none of oldest, latest and refuse", string(class.Full))
		}
	}
	return faults
}

// validClassName: it is the name of a folder.
func validClassName(s string) bool {
	return s != "" && len(s) <= 32 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789_-") == ""
}

// Validate names every fault of the rules, and the loops among them.
func (c Config) Validate(classes Classes) []error {
	_, faults := compile(c, classes)
	return faults
}

// Size is a number of bytes: 64MiB, 500KiB, 1GiB in a file.
type Size int64

var units = []struct {
	name  string
	bytes int64
}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}}

// UnmarshalText reads a number with a unit.
func (s *Size) UnmarshalText(text []byte) error {
	for _, u := range units {
		digits, ok := strings.CutSuffix(string(text), u.name)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(digits), 10, 64)
		if err != nil || n < 0 || n > maxSize/u.bytes {
			break
		}
		*s = Size(n * u.bytes)
		return nil
	}
	return fmt.Errorf("want a size, for example 64MiB, have %q", text)
}

func (s Size) String() string {
	for _, u := range units {
		if int64(s) >= u.bytes && int64(s)%u.bytes == 0 {
			return strconv.FormatInt(int64(s)/u.bytes, 10) + u.name
		}
	}
	return "0B"
}
