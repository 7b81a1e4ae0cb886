package access

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
)

// Config is the section "access" of the configuration.
type Config struct {
	// Policies are files of policy documents by the names of the policies.
	Policies map[string]string `yaml:"policies"`
	// Principals say who has which policies; those of every entry that matches
	// are united. Nil means DefaultPrincipals.
	Principals []Entry `yaml:"principals"`
}

// Entry gives policies to those whom it matches, by one of its first three fields.
type Entry struct {
	Certificate string   `yaml:"certificate"` // glob on the certificate's common name
	Anonymous   bool     `yaml:"anonymous"`   // on listeners that admit anonymous
	User        string   `yaml:"user"`
	Password    string   `yaml:"password"` // of User: where its hash is, as "access passwd" makes it: the path of a file, or env:NAME
	Policies    []string `yaml:"policies"`
}

// DefaultPrincipals are those of a gateway that nobody configured.
func DefaultPrincipals() []Entry {
	return []Entry{
		{Certificate: "*", Policies: []string{OwnThing}},
		{Anonymous: true, Policies: []string{All}},
	}
}

// FieldError is a fault of the configuration. Path is below the section, for
// example "principals[1].policies".
type FieldError struct{ Path, Text string }

func (e *FieldError) Error() string { return e.Path + ": " + e.Text }

// Validate tells every fault, those inside the policy files too. A file that is
// not there is none: the configuration may be checked elsewhere.
func (c Config) Validate() []error {
	var faults []error
	fault := func(path, format string, args ...any) {
		faults = append(faults, &FieldError{path, fmt.Sprintf(format, args...)})
	}
	for _, name := range slices.Sorted(maps.Keys(c.Policies)) {
		_, err := readPolicy(name, c.Policies[name])
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			fault("policies."+name, "%v", err)
		}
	}
	users := map[string]int{}
	for i, e := range c.Principals {
		at := fmt.Sprintf("principals[%d]", i)
		kinds := 0
		for _, is := range []bool{e.Certificate != "", e.Anonymous, e.User != ""} {
			if is {
				kinds++
			}
		}
		if kinds != 1 {
			fault(at, "want one of certificate, anonymous: true and user, have %d", kinds)
		}
		switch {
		case e.User == "" && e.Password != "":
			fault(at+".password", "only a user has one")
		case e.User != "" && e.Password != "":
			if j, twice := users[e.User]; twice {
				fault(at+".password", "%s has the password of principals[%d] already", e.User, j)
			}
			users[e.User] = i
		}
		if len(e.Policies) == 0 {
			fault(at+".policies", "missing; want names of policies, for example [%s]", OwnThing)
		}
		if len(e.Policies) > maxPerEntry {
			fault(at+".policies", "%d policies; AWS IoT gives a principal at most %d", len(e.Policies), maxPerEntry)
		}
	}
	for i, e := range c.Principals {
		if _, known := users[e.User]; e.User != "" && !known {
			fault(fmt.Sprintf("principals[%d].password", i), "missing; want file:PATH of a hash that edgeshadow access passwd has made")
		}
	}
	return faults
}

// readPolicy reads and compiles a file.
func readPolicy(name, path string) (*Policy, error) {
	if name == OwnThing || name == All {
		return nil, fmt.Errorf("the policy %s is built in", name)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxPolicyText+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	p, err := ParsePolicy(name, text)
	var faults Faults
	if errors.As(err, &faults) {
		lines := make([]string, len(faults))
		for i, f := range faults {
			lines[i] = path + ":" + f.Error()
		}
		return nil, errors.New(strings.Join(lines, "; "))
	}
	return p, err
}
