package config_test

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"edgeshadow/config"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
)

var update = flag.Bool("update", false, "write what is there as what is wanted")

// Each file of testdata/faults is a configuration with mistakes and, under
// "faults", what check says of it, line by line.
func TestLoad_Faults(t *testing.T) {
	files, err := filepath.Glob("testdata/faults/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no cases in testdata/faults", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			a, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			dir, want := unpack(t, a)
			_, err = config.Load(filepath.Join(dir, "edgeshadow.yaml"))
			var faults config.Faults
			if err != nil && !errors.As(err, &faults) {
				t.Fatal(err)
			}
			got := strings.ReplaceAll(faults.Error()+"\n", dir+"/", "")
			if *update {
				a.Files[len(a.Files)-1].Data = []byte(got)
				if err := os.WriteFile(file, txtar.Format(a), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("faults (-want +got):\n%s", diff)
			}
		})
	}
}

// unpack writes the files of a case and returns their folder and what stands
// under "faults".
func unpack(tb testing.TB, a *txtar.Archive) (dir, faults string) {
	tb.Helper()
	dir = tb.TempDir()
	for _, f := range a.Files {
		if f.Name == "faults" {
			faults = string(f.Data)
			continue
		}
		mustWrite(tb, filepath.Join(dir, f.Name), f.Data)
	}
	return dir, faults
}

func mustWrite(tb testing.TB, name string, data []byte) {
	tb.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		tb.Fatal(err)
	}
	if err := os.WriteFile(name, data, 0o644); err != nil {
		tb.Fatal(err)
	}
}

// MustLoad loads a main file with this text from a folder of its own.
func MustLoad(tb testing.TB, yaml string) *config.Config {
	tb.Helper()
	name := filepath.Join(tb.TempDir(), "edgeshadow.yaml")
	mustWrite(tb, name, []byte(yaml))
	c, err := config.Load(name)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}
