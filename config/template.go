package config

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"edgeshadow/packaging/templates"
)

// installedTemplates is where the package puts what is built in, for people to
// read and to copy.
const installedTemplates = "/usr/share/edgeshadow/templates"

var templateName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,63}$`)

// fillIn gives each thing with a template what the template says and the thing
// does not. A template is looked for in templates beside the main file, then
// where the package installs them, and then among those that are built in.
func fillIn(main string, root *node, r *report) {
	section := root.get("things")
	if section == nil || section.value.kind != mapping {
		return
	}
	section.value.entries = slices.Clone(section.value.entries)
	known := map[string]*node{}
	for i := range section.value.entries {
		e := &section.value.entries[i]
		use := e.value.get("template")
		if e.value.kind != mapping || use == nil || use.value.kind != text {
			continue // the decoder tells what is no text
		}
		name, at := use.value.text, join(join("things", e.key), "template")
		if _, read := known[name]; !read {
			known[name] = readTemplate(main, name, r)
		}
		if known[name] == nil {
			r.add(use.value.place, at, "no template "+use.value.String(), "there are "+strings.Join(templateNames(main), " "))
			continue
		}
		e.value = over(e.value, known[name])
	}
}

// over is a thing over its template: what the thing says wins, a point key by
// key. A point with nothing after it is none.
func over(thing, template *node) *node {
	out := *thing
	out.entries = slices.Clip(out.entries)
	for _, e := range template.entries {
		own := out.get(e.key)
		switch {
		case e.key == "title" || e.key == "source":
		case own == nil:
			out.entries = append(out.entries, e)
		case e.key == "points" && own.value.kind == mapping && e.value.kind == mapping:
			points := overPoints(own.value, e.value)
			out.entries = slices.Clone(out.entries)
			out.get(e.key).value = points
		}
	}
	return &out
}

func overPoints(own, template *node) *node {
	out := *own
	out.entries = nil
	for _, e := range own.entries {
		t := template.get(e.key)
		switch {
		case t != nil && e.value.kind == null:
			continue
		case t != nil && e.value.kind == mapping && t.value.kind == mapping:
			e.value = over(e.value, t.value)
		}
		out.entries = append(out.entries, e)
	}
	for _, t := range template.entries {
		if own.get(t.key) == nil {
			out.entries = append(out.entries, t)
		}
	}
	return &out
}

// readTemplate is the tree of a template, or nil when there is none.
func readTemplate(main, name string, r *report) *node {
	if !templateName.MatchString(name) {
		return nil
	}
	for _, dir := range templateDirs(main) {
		file := filepath.Join(dir, name+".yaml")
		data, err := os.ReadFile(file)
		if err == nil {
			return templateOf(file, data, r)
		}
		if !errors.Is(err, fs.ErrNotExist) {
			r.add(place{file, 1, 1}, "", errors.Unwrap(err).Error(), "")
		}
	}
	data, err := templates.Read(name)
	if err != nil {
		return nil
	}
	return templateOf(filepath.Join(installedTemplates, name+".yaml"), data, r)
}

// templateOf parses a template; what is wrong with it is told at its place.
func templateOf(file string, data []byte, r *report) *node {
	if n := parse(file, data, r); n != nil {
		return n
	}
	return &node{place: place{file, 1, 1}, kind: mapping}
}

func templateDirs(main string) []string {
	return []string{filepath.Join(filepath.Dir(main), "templates"), installedTemplates}
}

// templateNames are those of all templates, wherever they are.
func templateNames(main string) []string {
	names := templates.Names()
	for _, dir := range templateDirs(main) {
		found, _ := filepath.Glob(filepath.Join(dir, "*.yaml")) // the pattern is right
		for _, f := range found {
			names = append(names, strings.TrimSuffix(filepath.Base(f), ".yaml"))
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
