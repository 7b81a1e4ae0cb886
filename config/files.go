package config

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
)

// Files are the files that the configuration at path is made of: the main file,
// conf.d, and those that values in it name (keys, certificates, policies), as
// absolute paths.
func Files(path string) ([]string, error) {
	if path == "" {
		path = DefaultPath
	}
	cfg, _, err := read(path, false)
	if err != nil {
		return nil, err
	}
	files := []string{path}
	files = append(files, confD(path, newReport(path))...)
	var l lister
	l.value(where{}, reflect.ValueOf(cfg).Elem())
	for _, f := range l.found {
		if filepath.IsAbs(f.Value) && regular(f.Value) {
			files = append(files, f.Value)
		}
	}
	for i := range files {
		if files[i], err = filepath.Abs(files[i]); err != nil {
			return nil, err
		}
	}
	slices.Sort(files)
	return slices.Compact(files), nil
}

// needed are the references, by shape, without whose files the daemon does not
// start. Without those of cloud it does: the uplink waits for them.
var needed = map[string]bool{
	"broker.listeners[].tls.certificate": true,
	"broker.listeners[].tls.key":         true,
	"broker.listeners[].tls.client_ca":   true,
	"access.policies.*":                  true,
	"access.principals[].password":       true,
}

// Check is Load for the one who asks whether the daemon would start: a file that
// it needs and that is not there is a fault. What may not be looked at is none,
// for the asker may be somebody else than the daemon's user.
func Check(path string) (*Config, error) {
	cfg, root, err := read(path, path == "")
	if err != nil {
		return nil, err
	}
	r := newReport(path)
	var l lister
	l.value(where{}, reflect.ValueOf(cfg).Elem())
	for _, f := range l.found {
		if !needed[f.shape] || !filepath.IsAbs(f.Value) {
			continue
		}
		if _, err := os.Stat(f.Value); errors.Is(err, fs.ErrNotExist) {
			r.add(root.find(f.Path), f.Path, f.Value+": no such file", "")
		}
	}
	if err := r.err(); err != nil {
		return nil, err
	}
	return cfg, nil
}

func regular(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}
