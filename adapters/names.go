package adapters

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// AllPoints are the points of the thing by the paths of their values: one with
// Bits is a point for each of them.
func (t Thing) AllPoints() map[string]Point {
	all := make(map[string]Point, len(t.Points))
	for name, p := range t.Points {
		if len(p.Bits) == 0 {
			all[name] = p
			continue
		}
		for number, flag := range p.Bits {
			one := p
			n, _ := strconv.Atoi(number) // Validate has told
			one.Bits, one.Bit = nil, &n
			all[name+"."+flag] = one
		}
	}
	return all
}

// Named is a number that a device holds by its name, when it has one.
func (p Point) Named(n json.Number) any {
	if name, ok := p.Enum[string(n)]; ok {
		return name
	}
	return n
}

// Unnamed is the inverse of Named. What has no name is refused, when there are
// names.
func (p Point) Unnamed(value any) (any, error) {
	if len(p.Enum) == 0 {
		return value, nil
	}
	for number, name := range p.Enum {
		if value == any(name) || value == any(json.Number(number)) {
			return json.Number(number), nil
		}
	}
	return nil, fmt.Errorf("want one of %s, have %s", strings.Join(slices.Sorted(maps.Values(p.Enum)), " "), Describe(value))
}

// checkStep refuses a number that is no multiple of the step.
func (p Point) checkStep(value any) error {
	r, err := rational(value)
	if p.Step == nil || err != nil {
		return nil // the driver tells what is no number
	}
	from := ""
	if p.Min != nil {
		r.Sub(r, p.Min.rat())
		from = fmt.Sprintf(" from %s on", p.Min)
	}
	if r.Quo(r, p.Step.rat()); !r.IsInt() {
		return fmt.Errorf("%s is no step of %s%s", Describe(value), p.Step, from)
	}
	return nil
}

// validateNames checks enum and bits.
func (p Point) validateNames(f *faults, path string) {
	if len(p.Enum) > 0 {
		for _, key := range []struct {
			name string
			set  bool
		}{
			{"scale", p.Scale != nil}, {"offset", p.Offset != nil}, {"deadband", p.Deadband != nil}, {"bits", len(p.Bits) > 0},
			{"min", p.Min != nil}, {"max", p.Max != nil}, {"step", p.Step != nil},
		} {
			if key.set {
				f.add(path+"."+key.name, "is for numbers, and enum makes names of them; take one of the two out")
			}
		}
	}
	seen := map[string]string{}
	for _, number := range slices.Sorted(maps.Keys(p.Enum)) {
		name, at := p.Enum[number], path+".enum."+number
		if n, err := strconv.ParseInt(number, 10, 64); err != nil || strconv.FormatInt(n, 10) != number {
			f.add(at, "%q is no integer", number)
		}
		if name == "" || len(name) > maxPath {
			f.add(at, "a name has 1 to %d bytes", maxPath)
		}
		if other, twice := seen[name]; twice {
			f.add(at, "%q is the name of %s already", name, other)
		}
		seen[name] = number
	}
	p.validateBits(f, path)
}

func (p Point) validateBits(f *faults, path string) {
	if len(p.Bits) > 0 && (p.Bit != nil || p.Scale != nil || p.Offset != nil || p.Deadband != nil || p.Write) {
		f.add(path+".bits", "are read as they are: no bit, scale, offset, deadband or write beside them")
	}
	seen := map[string]string{}
	for _, number := range slices.Sorted(maps.Keys(p.Bits)) {
		name, at := p.Bits[number], path+".bits."+number
		if n, err := strconv.Atoi(number); err != nil || n < 0 || n > 63 || strconv.Itoa(n) != number {
			f.add(at, "%q is no bit: 0 (the lowest) to 63", number)
		}
		if name == "" || len(name) > maxPath || strings.Contains(name, ".") {
			f.add(at, "a bit's name has 1 to %d bytes, and no dot", maxPath)
		}
		if other, twice := seen[name]; twice {
			f.add(at, "%q is the name of bit %s already", name, other)
		}
		seen[name] = number
	}
}
