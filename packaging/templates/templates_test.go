package templates_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"edgeshadow/adapters"
	"edgeshadow/adapters/modbus"
	"edgeshadow/config"
	"edgeshadow/packaging/templates"
	"edgeshadow/test/modbustest"
)

// MustLoad is a configuration of one thing, device, with a template.
func MustLoad(tb testing.TB, template, host string) *config.Config {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "edgeshadow.yaml")
	text := fmt.Sprintf("buses:\n  b: {type: modbus-tcp, host: %q}\nthings:\n  device: {template: %s, bus: b}\n", host, template)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		tb.Fatal(err)
	}
	cfg, err := config.Load(path)
	if err != nil {
		tb.Fatal(err)
	}
	return cfg
}

// MustServe is a server whose unit 1 holds the registers of a dump: table:address
// and words in hexadecimal, a line each.
func MustServe(tb testing.TB, dump []byte) *modbustest.Server {
	tb.Helper()
	s := modbustest.MustServe(tb)
	for line := range strings.Lines(string(dump)) {
		fields := strings.Fields(line)
		table, number, _ := strings.Cut(fields[0], ":")
		addr, err := strconv.ParseUint(number, 10, 16)
		if err != nil {
			tb.Fatal(err)
		}
		for i, field := range fields[1:] {
			word, err := strconv.ParseUint(field, 16, 16)
			if err != nil {
				tb.Fatal(err)
			}
			at := uint16(int(addr) + i)
			switch table {
			case "coil":
				s.SetCoil(1, at, word != 0)
			case "discrete":
				s.SetDiscrete(1, at, word != 0)
			case "input":
				s.SetInput(1, at, uint16(word))
			case "holding":
				s.SetHolding(1, at, uint16(word))
			default:
				tb.Fatalf("no table %q", table)
			}
		}
	}
	return s
}

// TestTemplates reads the dump of a device through its template.
func TestTemplates(t *testing.T) {
	names := templates.Names()
	if len(names) < 10 {
		t.Fatalf("%d templates: %v", len(names), names)
	}
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text, err := templates.Read(name)
			if err != nil {
				t.Fatal(err)
			}
			for _, key := range []string{"title: ", "\nsource: "} {
				if !bytes.Contains(text, []byte(key)) {
					t.Errorf("a template says its %s", strings.TrimSpace(key))
				}
			}
			dump, err := txtar.ParseFile(filepath.Join("testdata", name+".txt"))
			if err != nil {
				t.Fatal(err)
			}
			server := MustServe(t, dump.Files[0].Data)
			got := readAll(t, MustLoad(t, name, server.Addr()))
			var want map[string]any
			d := json.NewDecoder(bytes.NewReader(dump.Files[1].Data))
			d.UseNumber()
			if err := d.Decode(&want); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("reported (-want +got)\n%s", diff)
			}
		})
	}
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) != len(names) {
		t.Errorf("%d dumps for %d templates, %v", len(files), len(names), err)
	}
}

// readAll is what one reading of each point makes of the thing.
func readAll(t *testing.T, cfg *config.Config) map[string]any {
	t.Helper()
	things := cfg.Things.Field()
	bus := modbus.New("b", cfg.Buses["b"], things, nil)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	points := things["device"].AllPoints()
	got := map[string]any{}
	var seen []string
	var mu sync.Mutex
	err := bus.Run(ctx, func(readings ...adapters.Reading) {
		mu.Lock()
		defer mu.Unlock()
		for _, r := range readings {
			if !r.Quality.HasValue() {
				t.Errorf("%s is %s", r.Path, r.Quality)
			}
			set(got, r.Path, r.Value)
			if seen = append(seen, r.Path); len(seen) == len(points) {
				cancel()
			}
		}
	})
	slices.Sort(seen)
	if err != nil || len(slices.Compact(seen)) != len(points) {
		t.Errorf("%d of %d points were read, %v", len(seen), len(points), err)
	}
	return got
}

func set(into map[string]any, path string, value any) {
	key, rest, more := strings.Cut(path, ".")
	if !more {
		into[key] = value
		return
	}
	below, ok := into[key].(map[string]any)
	if !ok {
		below = map[string]any{}
		into[key] = below
	}
	set(below, rest, value)
}
