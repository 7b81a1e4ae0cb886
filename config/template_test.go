package config_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"edgeshadow/adapters"
	"edgeshadow/config"
)

// TestLoad_Template: what a thing says wins over its template, a point key by
// key; one with nothing after it is left out; a template beside the
// configuration wins over the one that is built in.
func TestLoad_Template(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "templates"), 0o700); err != nil {
		t.Fatal(err)
	}
	write("edgeshadow.yaml", `
buses: {b: {type: modbus-tcp, host: "10.0.0.1"}}
things:
  climate:
    template: xy-md02
    bus: b
    unit: 7
    every: 30s
    points:
      temperature: {deadband: 1}
      correction.temperature:
      correction.humidity:
      extra: {at: "holding:9", type: uint16}
  heating: {template: thermostat, bus: b}
`)
	write("templates/thermostat.yaml", "title: Ours\nsource: our own\npoints: {only: {at: \"input:3\", type: int16}}\n")
	cfg, err := config.Load(filepath.Join(dir, "edgeshadow.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	climate := cfg.Things["climate"]
	var points []string
	for name := range climate.Points {
		points = append(points, name)
	}
	if len(points) != 3 || climate.Type != "climate-sensor" || climate.UnitID() != 7 || climate.Every.Seconds() != 30 {
		t.Errorf("climate = %+v", climate)
	}
	temperature := climate.Points["temperature"]
	if temperature.At != "input:1" || temperature.Deadband.String() != "1" || temperature.Heartbeat.Minutes() != 10 {
		t.Errorf("temperature = %+v, want the template's with a deadband of 1", temperature)
	}
	want := map[string]adapters.Point{"only": {At: "input:3", Type: "int16"}}
	if d := cmp.Diff(want, cfg.Things["heating"].Points); d != "" {
		t.Error("heating (-want +got)", d)
	}
}
