package config_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"edgeshadow/config"

	"github.com/google/go-cmp/cmp"
)

const before = `config_version: 1
gateway: {thing: gw, memory: 64MiB}
broker: {listeners: [{address: "127.0.0.1:1883"}, {address: ":8883", tls: auto}]}
sync: {conflict: cloud}
buses:
  plc: {type: modbus-tcp, host: "10.0.0.20:502"}
things:
  boiler: {bus: plc, unit: 0, every: 1s, points: {a.b: {at: "discrete:1"}}}
  spare: {type: lamp}
`

const after = `config_version: 1
gateway: {thing: gw, memory: 1GiB}
broker: {listeners: [{address: "127.0.0.1:1883"}]}
sync: {conflict: cloud}
buses:
  plc: {type: modbus-tcp, host: "10.0.0.20:502"}
things:
  boiler: {bus: plc, unit: 0, every: 500ms, points: {a.b: {at: "discrete:1"}, c: {at: "discrete:2"}}}
  lamp: {type: lamp}
`

// A difference is told by value, and a thing that is new or gone as a whole.
func TestDiff(t *testing.T) {
	var got []string
	for _, c := range config.Diff(MustLoad(t, before), MustLoad(t, after)) {
		got = append(got, c.String())
	}
	want := []string{
		"broker.listeners[1].address: :8883 (gone)",
		"broker.listeners[1].tls.auto: true (gone)",
		"gateway.memory: 1GiB, was 64MiB",
		"things.boiler.every: 500ms, was 1s",
		"things.boiler.points.c.at: discrete:2 (new)",
		"things.lamp: all of it (new)",
		"things.spare: all of it (gone)",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
	if same := config.Diff(MustLoad(t, before), MustLoad(t, before)); len(same) > 0 {
		t.Errorf("of the same file: %v", same)
	}
}

// In a list only what changed is told, though its place is another now.
func TestDiff_List(t *testing.T) {
	const a, b, c, d = `{address: "127.0.0.1:1"}`, `{address: "127.0.0.1:2"}`, `{address: "127.0.0.1:3"}`, `{address: "127.0.0.1:3", protocol: ws}`
	with := func(listeners ...string) *config.Config {
		return MustLoad(t, "config_version: 1\nbroker: {listeners: ["+strings.Join(listeners, ", ")+"]}\n")
	}
	for name, tt := range map[string]struct {
		was, is *config.Config
		want    string
	}{
		"the first goes":   {with(a, b, c), with(b, c), "[broker.listeners[0].address: 127.0.0.1:1 (gone)]"},
		"one in between":   {with(a, b, c), with(a, c), "[broker.listeners[1].address: 127.0.0.1:2 (gone)]"},
		"a new first":      {with(b, c), with(a, b, c), "[broker.listeners[0].address: 127.0.0.1:1 (new)]"},
		"moved and others": {with(a, c), with(b, d), "[broker.listeners[0].address: 127.0.0.1:2, was 127.0.0.1:1 broker.listeners[1].protocol: ws (new)]"},
		"changed and gone": {with(a, b, c), with(b, d), "[broker.listeners[0].address: 127.0.0.1:1 (gone) broker.listeners[1].protocol: ws (new)]"},
		"all":              {with(a), with(), "[broker.listeners[0].address: 127.0.0.1:1 (gone)]"},
		"none":             {with(a, b), with(a, b), "[]"},
	} {
		if got := fmt.Sprint(config.Diff(tt.was, tt.is)); got != tt.want {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
}

// Each value tells where it was written, also one of a word that stands for
// several.
func TestShow(t *testing.T) {
	file := filepath.Join(t.TempDir(), "edgeshadow.yaml")
	mustWrite(t, file, []byte(before))
	settings, err := config.Show(file)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]config.Setting{}
	for _, s := range settings {
		got[s.Path] = s
	}
	if s, ok := got["buses.plc.line"]; ok {
		t.Errorf("what nobody said is told: %v", s)
	}
	for _, want := range []config.Setting{
		{Path: "gateway.memory", Value: "64MiB", Origin: file + ":2:30"},
		{Path: "sync.conflict.desired", Value: "cloud", Origin: file + ":4:18"},
		{Path: "things.boiler.unit", Value: "0", Origin: file + ":8:28"},
		{Path: "sync.direction", Value: "both", Origin: "default"},
		{Path: "broker.listeners[1].tls.auto", Value: "true", Origin: file + ":3:75"},
		{Path: "things.boiler.points.a.b.at", Value: "discrete:1", Origin: file + ":8:61"},
	} {
		if diff := cmp.Diff(want, got[want.Path]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", want.Path, diff)
		}
	}
}
