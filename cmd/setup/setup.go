// Package setup writes ordinary configuration from answers: the gateway's name,
// the way to the cloud with its key, and the buses. What it writes lies in files
// of its own, conf.d/setup-*.yaml, and in pki/; nobody else's file is changed,
// and running it again only changes what is answered otherwise.
package setup

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"edgeshadow/config"
)

// Answers are what setup needs to know. What is empty stays as it is.
type Answers struct {
	Thing       string            // of the gateway
	Endpoint    string            // of the cloud
	Certificate string            // a PEM file, to be put beside its key
	Buses       map[string]string // by name: PORT,LINE or HOST[:PORT]
	// Units are what answers on a bus, by its name, for whoever describes them.
	Units map[string][]string
	// Sensors are Bluetooth devices that become things: by name, the MAC.
	Sensors map[string]string
}

// Outcome is what setup did.
type Outcome struct {
	Wrote   []string // files
	Kept    []string // sections that other files say already: path: place
	Request string   // the certificate signing request; empty: a certificate is there
	Config  *config.Config
}

// Setup writes below the folder of a main file.
type Setup struct {
	main, dir string
	undo      map[string][]byte // what files held before; nil: they were not there
	out       Outcome
}

// Apply writes what the answers say and reads the whole configuration. When that
// is faulty everything is as it was.
func Apply(main string, a Answers) (Outcome, error) {
	s := &Setup{main: main, dir: filepath.Dir(main), undo: map[string][]byte{}}
	err := s.apply(a)
	if err == nil {
		s.out.Config, err = config.Load(main)
	}
	if err != nil {
		return Outcome{}, errors.Join(err, s.rollback())
	}
	return s.out, nil
}

func (s *Setup) apply(a Answers) error {
	if err := os.MkdirAll(filepath.Join(s.dir, "conf.d"), 0o755); err != nil {
		return err
	}
	if _, err := os.Stat(s.main); errors.Is(err, fs.ErrNotExist) {
		if err := s.write(s.main, "# The gateway. Devices go into conf.d/*.yaml beside this file.\nconfig_version: 1\n"); err != nil {
			return err
		}
	}
	known, err := Known(s.main)
	if err != nil {
		return err
	}
	if a.Thing != "" && a.Thing != known["gateway.thing"].Value {
		if err := s.section("gateway", known, fmt.Sprintf("gateway: {thing: %q}\n", a.Thing)); err != nil {
			return err
		}
	}
	if a.Endpoint != "" || a.Certificate != "" {
		if err := s.cloud(a, known); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(a.Buses)) {
		text, err := busText(name, a.Buses[name], a.Units[name])
		if err != nil {
			return err
		}
		if err := s.write(s.file("bus-"+name), text); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(a.Sensors)) {
		if !fileName.MatchString(name) {
			return fmt.Errorf("sensor %q: a name has 1 to 64 letters, digits, _ and -", name)
		}
		text := fmt.Sprintf("%sthings:\n  %s:\n    ble: {mac: %q}\n", header, name, a.Sensors[name])
		if err := s.write(s.file("ble-"+name), text); err != nil {
			return err
		}
	}
	return nil
}

const header = "# Written by edgeshadow setup, which writes it again when it is told something else.\n"

// file is one of setup's own.
func (s *Setup) file(part string) string {
	return filepath.Join(s.dir, "conf.d", "setup-"+part+".yaml")
}

// section writes a section, unless another file has it.
func (s *Setup) section(name string, known map[string]config.Setting, text string) error {
	file := s.file(name)
	for path, set := range known {
		if section, _, _ := strings.Cut(path, "."); section == name && set.Origin != "default" && !strings.HasPrefix(set.Origin, file+":") {
			s.out.Kept = append(s.out.Kept, name+": "+set.Origin)
			return nil
		}
	}
	return s.write(file, header+text)
}

// fileName is a name that also stands in a file's.
var fileName = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,64}$`)

// busText is a bus as a file: PORT,LINE is serial, all else a host. Units that
// answered are noted: what their registers mean nobody can ask them.
func busText(name, where string, units []string) (string, error) {
	if !fileName.MatchString(name) {
		return "", fmt.Errorf("bus %q: a name has 1 to 64 letters, digits, _ and -", name)
	}
	text := header + "buses:\n  " + name + ": "
	if port, line, ok := strings.Cut(where, ","); ok {
		text += fmt.Sprintf("{type: modbus-rtu, port: %q, line: %q}\n", port, line)
	} else {
		text += fmt.Sprintf("{type: modbus-tcp, host: %q}\n", where)
	}
	for _, unit := range units {
		text += "# answers: " + unit + "\n"
	}
	if len(units) > 0 {
		text += "# Describe each as a thing in a file of your own: bus: " + name + ", unit: N, and points or a template.\n"
	}
	return text, nil
}

// Known is the configuration as it is, by path.
func Known(main string) (map[string]config.Setting, error) {
	settings, err := config.Show(main)
	if err != nil {
		return nil, err
	}
	known := map[string]config.Setting{}
	for _, set := range settings {
		known[set.Path] = set
	}
	return known, nil
}

// write replaces a file as a whole, and remembers what it held. What is there
// already is not written again.
func (s *Setup) write(path, text string) error {
	return s.put(path, []byte(text), 0o644)
}

func (s *Setup) put(path string, data []byte, mode fs.FileMode) error {
	old, err := os.ReadFile(path)
	switch {
	case err == nil && string(old) == string(data):
		return nil
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return err
	}
	if _, seen := s.undo[path]; !seen {
		s.undo[path] = old
	}
	if err := replace(path, data, mode); err != nil {
		return err
	}
	s.out.Wrote = append(s.out.Wrote, path)
	return nil
}

func (s *Setup) rollback() error {
	var errs []error
	for path, old := range s.undo {
		if old == nil {
			errs = append(errs, os.Remove(path))
		} else {
			errs = append(errs, replace(path, old, 0o644))
		}
	}
	return errors.Join(errs...)
}
