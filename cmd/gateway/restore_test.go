package gateway_test

import (
	"archive/tar"
	"compress/gzip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"edgeshadow/cmd/gateway"
)

// A backup that would write beside its place, or that is no backup, is refused,
// and nothing is left of it.
func TestRestore_Refused(t *testing.T) {
	const manifest = `{"format":1,"thing":"gw","main":"edgeshadow.yaml"}`
	for _, tt := range []struct {
		name  string
		files [][2]string
		want  string
	}{
		{"no manifest", [][2]string{{"config/edgeshadow.yaml", "config_version: 1"}}, "it is no backup"},
		{"another format", [][2]string{{"manifest.json", `{"format":9}`}}, "a backup of format 9"},
		{"above its folder", [][2]string{{"manifest.json", manifest}, {"config/../../evil", "x"}}, `it holds "config/../../evil"`},
		{"anywhere", [][2]string{{"manifest.json", manifest}, {"/etc/passwd", "x"}}, `it holds "/etc/passwd"`},
		{"faulty configuration", [][2]string{{"manifest.json", manifest}, {"config/edgeshadow.yaml", "gatway: {}"}}, "gatway: unknown key"},
		{"no store", [][2]string{{"manifest.json", manifest}, {"config/edgeshadow.yaml", "config_version: 1\nstore: {path: STORE}"}}, "load a dump"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			file, store := filepath.Join(dir, "backup"), filepath.Join(dir, "data")
			mustArchive(t, file, tt.files, store)
			_, err := gateway.Restore(file, filepath.Join(dir, "etc", "edgeshadow.yaml"), nil)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %q", err, tt.want)
			}
			left, err := filepath.Glob(filepath.Join(dir, "etc", "*"))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := os.Stat(filepath.Join(store, "store")); err == nil || len(left) > 0 {
				t.Errorf("left behind: %v, or a store", left)
			}
		})
	}
}

func mustArchive(tb testing.TB, file string, files [][2]string, store string) {
	tb.Helper()
	f, err := os.Create(file)
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	zipped := gzip.NewWriter(f)
	archive := tar.NewWriter(zipped)
	for _, f := range files {
		text := strings.ReplaceAll(f[1], "STORE", store)
		if err := archive.WriteHeader(&tar.Header{Name: f[0], Mode: 0o600, Size: int64(len(text))}); err != nil {
			tb.Fatal(err)
		}
		if _, err := archive.Write([]byte(text)); err != nil {
			tb.Fatal(err)
		}
	}
	if err := archive.Close(); err != nil {
		tb.Fatal(err)
	}
	if err := zipped.Close(); err != nil {
		tb.Fatal(err)
	}
}
