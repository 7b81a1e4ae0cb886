package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
)

// DefaultPath is the main file when no other is named.
const DefaultPath = "/etc/edgeshadow/edgeshadow.yaml"

// ReadError says that the main file can't be read.
type ReadError struct{ Err error }

func (e *ReadError) Error() string { return "read configuration: " + e.Err.Error() }
func (e *ReadError) Unwrap() error { return e.Err }

// Hint is the cure, for operators.
func (e *ReadError) Hint() string {
	if errors.Is(e.Err, fs.ErrNotExist) {
		return "edgeshadow setup writes one; -c or EDGESHADOW_CONFIG names another"
	}
	return ""
}

// Load reads the main file at path and conf.d/*.yaml beside it, in the order of
// their names. An empty path is DefaultPath, which may be missing; any other
// file that is missing is an error. The error of files that hold mistakes is
// Faults, all of them.
func Load(path string) (*Config, error) {
	return load(path, path == "")
}

func load(path string, optional bool) (*Config, error) {
	cfg, _, err := read(path, optional)
	return cfg, err
}

// read is load, with the tree that the configuration was read from.
func read(path string, optional bool) (*Config, *node, error) {
	if path == "" {
		path = DefaultPath
	}
	data, err := os.ReadFile(path)
	if err != nil && !(optional && errors.Is(err, fs.ErrNotExist)) {
		return nil, nil, &ReadError{err}
	}
	r := newReport(path)
	files, whole := readAll(path, data, r)
	root := unite(place{path, 1, 1}, files, r)
	fillIn(path, root, r)
	cfg := Default()
	d := decoder{report: r}
	d.value(root, root.place, where{}, reflect.ValueOf(cfg).Elem())
	if broker := root.get("broker"); broker != nil {
		cfg.listeners = broker.value.get("listeners") != nil
	}
	// What refers to a file that could not be read is not wrong itself.
	if whole {
		for _, e := range cfg.Validate() {
			if !r.covers(e.Path) {
				r.add(root.find(e.Path), e.Path, e.Text, "")
			}
		}
	}
	if err := r.err(); err != nil {
		return nil, nil, err
	}
	return cfg, root, nil
}

// readAll parses the main file and those of conf.d; whole says that none of
// them was left out.
func readAll(main string, data []byte, r *report) (files []*node, whole bool) {
	names := confD(main, r)
	whole = len(r.faults) == 0
	for i, name := range append([]string{main}, names...) {
		if i > 0 {
			var err error
			if data, err = os.ReadFile(name); err != nil {
				r.add(place{name, 1, 1}, "", errors.Unwrap(err).Error(), "")
				whole = false
				continue
			}
		}
		if root := parse(name, data, r); root != nil {
			files = append(files, root)
		} else {
			whole = false
		}
	}
	return files, whole
}

// confD are the files of conf.d beside the main file. A file that looks meant
// and would not be read is a fault.
func confD(main string, r *report) []string {
	dir := filepath.Join(filepath.Dir(main), "conf.d")
	entries, err := os.ReadDir(dir) // sorted by name
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		r.add(place{dir, 1, 1}, "", errors.Unwrap(err).Error(), "")
	}
	var names []string
	for _, e := range entries {
		name := filepath.Join(dir, e.Name())
		switch ext := filepath.Ext(name); {
		case strings.HasPrefix(e.Name(), "."):
		case ext == ".yaml":
			names = append(names, name)
		case ext == ".yml":
			r.add(place{name, 1, 1}, "", "not read", "rename it to "+strings.TrimSuffix(e.Name(), ext)+".yaml")
		}
	}
	return names
}

// unite makes one mapping of the roots of all files. Each may say its version;
// buses and things may come from many files, any other section from one.
func unite(top place, files []*node, r *report) *node {
	root := &node{kind: mapping, place: top}
	for _, file := range files {
		for _, e := range file.entries {
			if e.key == "config_version" {
				checkVersion(e, r)
			}
			known := root.get(e.key)
			switch {
			case known == nil:
				section := *e.value
				section.entries = slices.Clip(section.entries) // an alias may share them
				root.entries = append(root.entries, entry{e.key, e.at, &section})
			case e.key == "config_version":
			case e.key == "buses" || e.key == "things":
				uniteNames(known.value, e, r)
			default:
				r.add(e.at, e.key, fmt.Sprintf("stands twice, first at %s", known.at), "")
			}
		}
	}
	return root
}

// checkVersion refuses a file of another format, of which nothing that was
// said would be sure to mean the same.
func checkVersion(e entry, r *report) {
	if e.value.kind != number || e.value.text != "1" {
		r.lost(e.place(), e.key, fmt.Sprintf("want 1, have %s", e.value), "")
	}
}

func uniteNames(into *node, section entry, r *report) {
	if into.kind == null {
		*into = *section.value
		return
	}
	if section.value.kind != mapping && section.value.kind != null {
		r.add(section.place(), section.key, fmt.Sprintf("want %s, have %s", mapping, section.value), "")
	}
	for _, e := range section.value.entries {
		if known := into.get(e.key); known != nil {
			r.add(e.at, join(section.key, e.key), fmt.Sprintf("stands twice, first at %s", known.at), "")
			continue
		}
		into.entries = append(into.entries, e)
	}
}
