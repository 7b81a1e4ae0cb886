package config_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"edgeshadow/config"

	"github.com/rogpeppe/go-internal/txtar"
)

// Whatever the files hold, Load neither panics nor gives up without a place,
// and says the same when asked again.
func FuzzLoad(f *testing.F) {
	for _, pattern := range []string{"testdata/faults/*.txt"} {
		names, err := filepath.Glob(pattern)
		if err != nil || len(names) == 0 {
			f.Fatal("no seeds", pattern, err)
		}
		for _, name := range names {
			data, err := os.ReadFile(name)
			if err != nil {
				f.Fatal(err)
			}
			main, more := data, []byte(nil)
			if a := txtar.Parse(data); len(a.Files) > 0 {
				main, more = a.Files[0].Data, a.Files[min(1, len(a.Files)-1)].Data
			}
			f.Add(main, more)
		}
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, main, more []byte) {
		files := map[string][]byte{
			filepath.Join(dir, "edgeshadow.yaml"):     main,
			filepath.Join(dir, "conf.d", "more.yaml"): more,
		}
		for name, data := range files {
			mustWrite(t, name, data)
		}
		c, err := config.Load(filepath.Join(dir, "edgeshadow.yaml"))
		if (c == nil) == (err == nil) {
			t.Fatalf("configuration %v and error %v", c, err)
		}
		if err == nil {
			return
		}
		var faults config.Faults
		if !errors.As(err, &faults) || len(faults) == 0 {
			t.Fatalf("want Faults, have %T: %v", err, err)
		}
		for _, fault := range faults {
			data, known := files[fault.File]
			lines := bytes.Count(data, []byte("\n")) + bytes.Count(data, []byte("\r")) + 1
			if !known || fault.Line < 1 || fault.Line > lines || fault.Column < 1 || fault.Text == "" {
				t.Errorf("fault without a place: %+v", fault)
			}
		}
		if _, again := config.Load(filepath.Join(dir, "edgeshadow.yaml")); again.Error() != err.Error() {
			t.Errorf("first\n%v\nthen\n%v", err, again)
		}
	})
}
