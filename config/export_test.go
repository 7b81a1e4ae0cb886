package config

import "reflect"

var ThingOf = thingOf

// LoadOptional is Load of a default path.
func LoadOptional(path string) (*Config, error) { return load(path, true) }

// Decode fills into from one file called f.
func Decode(yaml string, into any) error {
	r := newReport("f")
	if root := parse("f", []byte(yaml), r); root != nil {
		d := decoder{report: r}
		d.value(root, root.place, where{}, reflect.ValueOf(into).Elem())
	}
	return r.err()
}
