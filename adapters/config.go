package adapters

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

const (
	// DefaultEvery is how often a point is read that says nothing else.
	DefaultEvery = time.Second
	// MinEvery keeps a typing error from being a denial of service.
	MinEvery = 10 * time.Millisecond
	// minOfflineAfter is the least silence that means offline by default: one
	// lost answer is none.
	minOfflineAfter = 5 * time.Second
	// DefaultUnit is the unit of a device that does not say.
	DefaultUnit = 1
	// maxThingName is AWS's limit of a thing name.
	maxThingName = 128
	// maxLevels is how deep the keys of state.reported may go (L2).
	maxLevels = 6
)

// FieldError is what is wrong with one value of the configuration.
type FieldError struct {
	Path string // of keys, from the top: things.boiler.points.setpoint.min
	Text string // what is wrong, and the cure
}

func (e FieldError) Error() string { return e.Path + ": " + e.Text }

// Things is the things section of the configuration, by name.
type Things map[string]Thing

// Thing is a device: its place on a bus and its points.
type Thing struct {
	Template   string            `yaml:"template"`   // that filled in what the thing does not say
	Type       string            `yaml:"type"`       // the device's kind, for people
	Attributes map[string]string `yaml:"attributes"` // for people
	Bus        string            `yaml:"bus"`        // a key of buses; empty: the thing is not wired
	Unit       *int              `yaml:"unit"`       // on the bus, 0 to 255; nil means DefaultUnit
	// Every is how often its points are read; 0 means DefaultEvery.
	Every time.Duration `yaml:"every"`
	// Deadband and Heartbeat are those of its points that have none of their own.
	Deadband  *Deadband     `yaml:"deadband"`
	Heartbeat time.Duration `yaml:"heartbeat"`
	// OfflineAfter is the silence after which the thing counts as offline; 0
	// means 3 × the shortest every of its points, at least 5 s.
	OfflineAfter time.Duration `yaml:"offline_after"`
	// MaxAge is that of its points that have none of their own.
	MaxAge time.Duration `yaml:"max_age"`
	// MaxGap is how many registers nobody asked for may be read along to save
	// a request; nil means the driver's default. 0 reads none.
	MaxGap *int `yaml:"max_gap"`
	// MaxRegisters is how many registers the device gives in one answer; 0
	// means what the protocol allows.
	MaxRegisters int              `yaml:"max_registers"`
	Points       map[string]Point `yaml:"points"` // by name: the path in state.reported

	// Via names the driver of a thing whose driver is not that of a bus; it is
	// set by who composes the configuration, and wins over Bus.
	Via string `yaml:"-"`
	// Learns says that a reading of a point that is not configured makes one,
	// up to maxLearned: of devices that say themselves what they measure.
	Learns bool `yaml:"-"`
	// Pace is the least time between two reports of numbers; what changes
	// meanwhile is reported at its end, and all else at once. Of devices that
	// say more than a shadow should. 0: none.
	Pace time.Duration `yaml:"-"`
}

// Point is one value of a device. At, Type, Order, Length and Bit say where and
// how the device holds it: they are the driver's.
type Point struct {
	At     Address `yaml:"at"`
	Type   string  `yaml:"type"`
	Order  string  `yaml:"order"`
	Length int     `yaml:"length"` // of a string, in bytes
	Bit    *int    `yaml:"bit"`    // of an integer, 0 the lowest: the value is that bit
	// Bits names bits of an integer, by number: each is a value of its own, below
	// the point's name.
	Bits map[string]string `yaml:"bits"`

	Scale  *Decimal `yaml:"scale"`  // the value is what the device holds × Scale + Offset; nil means 1
	Offset *Decimal `yaml:"offset"` // nil means 0
	// Enum names integers that the device holds; one without a name stays a number.
	Enum     map[string]string `yaml:"enum"`
	Unit     string            `yaml:"unit"`     // of measurement, for people
	Deadband *Deadband         `yaml:"deadband"` // a smaller change than this is not reported; nil means as the thing says
	// Heartbeat is after how long a value is reported though it did not
	// change; 0 means as the thing says, and never when it does not.
	Heartbeat time.Duration `yaml:"heartbeat"`
	// Every is how often the point is read; 0 means as the thing says.
	Every time.Duration `yaml:"every"`

	Write bool     `yaml:"write"` // desired values go to the device
	Min   *Decimal `yaml:"min"`   // a desired value below is raised to it
	Max   *Decimal `yaml:"max"`   // a desired value above is lowered to it
	// Step refuses a desired value that is no multiple of it, counted from Min
	// when there is one; nil means that each will do.
	Step *Decimal `yaml:"step"`
	// MaxAge is how old a desired value may be when the device can take it; one
	// that is older is told and not written. 0 means as the thing says, and any
	// age when it does not.
	MaxAge time.Duration `yaml:"max_age"`
}

// Address is where a driver finds a point: holding:11, or the number that the
// device's document gives, 40012.
type Address string

// UnmarshalText takes any text; the driver knows what is right.
func (a *Address) UnmarshalText(text []byte) error {
	*a = Address(text)
	return nil
}

// Driver is the name of the driver that the thing is read by; empty: it has
// none, and only its shadows are kept.
func (t Thing) Driver() string {
	if t.Via != "" {
		return t.Via
	}
	return t.Bus
}

// UnitID is the thing's unit.
func (t Thing) UnitID() int {
	if t.Unit == nil {
		return DefaultUnit
	}
	return *t.Unit
}

// EveryOf is how often a point of the thing is read.
func (t Thing) EveryOf(p Point) time.Duration {
	switch {
	case p.Every != 0:
		return p.Every
	case t.Every != 0:
		return t.Every
	}
	return DefaultEvery
}

// Silence is OfflineAfter with its default.
func (t Thing) Silence() time.Duration {
	if t.OfflineAfter != 0 {
		return t.OfflineAfter
	}
	var shortest time.Duration
	for _, p := range t.Points { // bits are read as often as their point
		if every := t.EveryOf(p); shortest == 0 || every < shortest {
			shortest = every
		}
	}
	return max(minOfflineAfter, 3*shortest)
}

// faults collects FieldErrors below one path.
type faults struct{ errs []error }

func (f *faults) add(path, format string, args ...any) {
	f.errs = append(f.errs, FieldError{path, fmt.Sprintf(format, args...)})
}

// Validate names all that is wrong whatever the driver is, in the order of the
// names.
func (ts Things) Validate() []error {
	var f faults
	for _, name := range slices.Sorted(maps.Keys(ts)) {
		path := "things." + name
		checkThingName(&f, path, name)
		ts[name].validate(&f, path)
	}
	return f.errs
}

func checkThingName(f *faults, path, name string) {
	odd := strings.IndexFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune(":_-", r)
	})
	if name == "" || len(name) > maxThingName || odd >= 0 {
		f.add(path, "a thing name has 1 to %d letters, digits and : _ -", maxThingName)
	}
}

func (t Thing) validate(f *faults, path string) {
	if id := t.UnitID(); id < 0 || id > 255 {
		f.add(path+".unit", "%d is no unit: 0 to 255", id)
	}
	checkEvery(f, path+".every", t.Every)
	checkReporting(f, path, t.Deadband, t.Heartbeat)
	checkMaxAge(f, path, t.MaxAge)
	if t.OfflineAfter < 0 {
		f.add(path+".offline_after", "%s is negative; without the key it is %s", t.OfflineAfter, Thing{Every: t.Every, Points: t.Points}.Silence())
	}
	if t.MaxGap != nil && *t.MaxGap < 0 {
		f.add(path+".max_gap", "%d is negative; 0 reads no register that nobody asked for", *t.MaxGap)
	}
	if t.MaxRegisters < 0 {
		f.add(path+".max_registers", "%d is negative; leave the key out for what the protocol allows", t.MaxRegisters)
	}
	names := slices.Sorted(maps.Keys(t.Points))
	if t.Driver() == "" && len(names) > 0 {
		f.add(path, "has points and no bus; name one of the buses: bus: NAME")
	}
	if t.Bus != "" && len(names) == 0 && t.Template == "" {
		f.add(path, "is on bus %s and has no points; list them under points", t.Bus)
	}
	for _, name := range names {
		at := path + ".points." + name
		t.checkPointName(f, at, name)
		t.Points[name].validate(f, at)
	}
}

func (t Thing) checkPointName(f *faults, path, name string) {
	levels := strings.Split(name, ".")
	for i := 1; i < len(levels); i++ {
		above := strings.Join(levels[:i], ".")
		if _, taken := t.Points[above]; taken {
			f.add(path, "%s is a value and can't hold %s too; rename one", above, name)
		}
	}
	if slices.Contains(levels, "") {
		f.add(path, "a point's name is its path in the shadow: keys with a dot between, none empty")
	}
	deep := len(levels)
	if len(t.Points[name].Bits) > 0 {
		deep++
	}
	if deep > maxLevels {
		f.add(path, "%d levels; a shadow has at most %d", deep, maxLevels)
	}
}

func checkEvery(f *faults, path string, every time.Duration) {
	if every != 0 && every < MinEvery {
		f.add(path, "%s is too often; the least is %s", every, MinEvery)
	}
}

func checkReporting(f *faults, path string, d *Deadband, heartbeat time.Duration) {
	if d != nil && d.coef < 0 {
		f.add(path+".deadband", "%s is negative; leave the key out to report each change", d)
	}
	if heartbeat < 0 {
		f.add(path+".heartbeat", "%s is negative; leave the key out for none", heartbeat)
	}
}

func checkMaxAge(f *faults, path string, age time.Duration) {
	if age < 0 {
		f.add(path+".max_age", "%s is negative; leave the key out when age does not matter", age)
	}
}

func (p Point) validate(f *faults, path string) {
	checkEvery(f, path+".every", p.Every)
	checkReporting(f, path, p.Deadband, p.Heartbeat)
	checkMaxAge(f, path, p.MaxAge)
	p.validateNames(f, path)
	if p.Scale != nil && p.Scale.coef == 0 {
		f.add(path+".scale", "0 makes every value 0; leave the key out for 1")
	}
	if p.Min != nil && p.Max != nil && p.Min.rat().Cmp(p.Max.rat()) > 0 {
		f.add(path+".min", "%s lies above max %s", p.Min, p.Max)
	}
	if !p.Write {
		const text = "bounds what is written, and nothing is: add write: true, or take it out"
		if p.Min != nil {
			f.add(path+".min", text)
		}
		if p.Max != nil {
			f.add(path+".max", text)
		}
		if p.Step != nil {
			f.add(path+".step", text)
		}
		if p.MaxAge != 0 {
			f.add(path+".max_age", text)
		}
	}
	if p.Step != nil && p.Step.coef <= 0 {
		f.add(path+".step", "%s is no step; leave the key out when each value will do", p.Step)
	}
}
