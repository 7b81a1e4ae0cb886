package config

import (
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

func regular(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}
