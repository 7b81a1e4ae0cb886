package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"edgeshadow/adapters/ble"
	"edgeshadow/localshadow/shadow"
	"edgeshadow/test/bletest"
	"edgeshadow/test/serialtest"
)

// command runs edgeshadow against a daemon and returns what it printed.
func (d *daemon) command(tb testing.TB, args ...string) (stdout string, err error) {
	tb.Helper()
	c := exec.CommandContext(tb.Context(), MustFindSelf(tb), args...)
	c.Env = append(os.Environ(), "EDGESHADOW_SOCKET="+filepath.Join(d.dir, "api.sock"), "EDGESHADOW_CONFIG="+filepath.Join(d.dir, "edgeshadow.yaml"))
	var out, errs bytes.Buffer
	c.Stdout, c.Stderr = &out, &errs
	if err = c.Run(); err != nil {
		err = fmt.Errorf("%s: %w: %s", strings.Join(args, " "), err, errs.String())
	}
	return out.String(), err
}

// awaitReported waits until a thing's state.reported holds want, as JSON.
func (d *daemon) awaitReported(tb testing.TB, thing, key, want string) {
	tb.Helper()
	last := ""
	defer func() {
		if tb.Failed() {
			tb.Logf("%s is %s", thing, last)
		}
	}()
	d.await(tb, fmt.Sprintf("%s.%s = %s", thing, key, want), func(ctx context.Context) bool {
		doc, err := d.Get(ctx, shadow.ID{Thing: thing})
		if err != nil {
			return false
		}
		last = string(doc)
		var v struct {
			State struct{ Reported map[string]json.RawMessage }
		}
		return json.Unmarshal(doc, &v) == nil && string(v.State.Reported[key]) == want
	})
}

// repeat says something every now and then, as devices do, until the test ends.
func repeat(tb testing.TB, say func()) {
	tb.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				say()
			}
		}
	})
	tb.Cleanup(func() { cancel(); wg.Wait() })
}

const (
	fridgeMAC = "A4:C1:38:11:22:33"
	lockedMAC = "A4:C1:38:8D:18:B2"
	levelUUID = "0000ff02-0000-1000-8000-00805f9b34fb"
)

// The scale and the fridge of the design, and a valve that is connected to,
// through the daemon into their shadows and back; and what the tools say of them
// while the daemon owns their line and their radio.
func TestRun_SerialAndBLE(t *testing.T) {
	b := bletest.MustBlueZ(t, bletest.Knobs{})
	valve := b.MustPeripheral("A4:C1:38:00:00:02", map[string][]byte{levelUUID: {42}})
	scale := serialtest.MustOpen(t)
	dir := t.TempDir()
	things := `things:
  scale-1:
    serial: {port: ` + scale.Path() + `, line: 9600-7E1, frame: {end: "\r\n"}, parse: 'ST,GS,(?P<weight>[+-]\d+\.\d)kg'}
  fridge:
    ble: {mac: "` + fridgeMAC + `", decode: auto, offline_after: 15m}
  valve:
    ble: {mac: "A4:C1:38:00:00:02", characteristics: {level: {uuid: FF02, every: 1s}}}
    points:
      level: {write: true, max: 100}
`
	d := MustRunDaemon(t, dir, "127.0.0.1:0", things)
	repeat(t, func() { _, _ = scale.Write([]byte("ST,GS,+12.5kg\r\n")) })
	repeat(t, func() {
		b.Advertise(bletest.Advert{MAC: fridgeMAC, Name: "Fridge", RSSI: -60, Services: map[string][]byte{
			"0000fcd2-0000-1000-8000-00805f9b34fb": {0x40, 0x02, 0x90, 0x01, 0x01, 0x5A},
		}})
		b.Advertise(bletest.Advert{MAC: "A4:C1:38:00:00:02", RSSI: -70})
		b.Advertise(bletest.Advert{MAC: lockedMAC, Name: "ATC_8D18B2", RSSI: -80, Services: map[string][]byte{
			"0000181a-0000-1000-8000-00805f9b34fb": {0x11, 0xD6, 0x03, 0xFB, 0xFA, 0x7B, 0x6D, 0xFB, 0x1E, 0x26, 0xFD},
		}})
	})
	d.awaitReported(t, "scale-1", "weight", "12.5")
	d.awaitReported(t, "fridge", "temperature", "4")
	d.awaitReported(t, "fridge", "battery", "90")
	d.awaitReported(t, "valve", "level", "42")

	if _, err := d.command(t, "shadow", "update", "valve", `{"state":{"desired":{"level":250}}}`); err != nil {
		t.Fatal(err)
	}
	d.awaitReported(t, "valve", "level", "100") // clamped
	if held := valve.Held(levelUUID); len(held) != 1 || held[0] != 100 {
		t.Errorf("the valve holds %v, want 100", held)
	}

	// The tools see what the daemon hears.
	out, err := d.command(t, "serial", "sniff", scale.Path(), "--for", "1s")
	if err != nil || !strings.Contains(out, `frame  "ST,GS,+12.5kg"`) {
		t.Errorf("serial sniff: %v\n%s", err, out)
	}
	out, err = d.command(t, "ble", "scan", "--for", "100ms", "--json")
	var near []ble.Sighting
	if err == nil {
		err = json.Unmarshal([]byte(out), &near)
	}
	said := map[string]string{}
	for _, s := range near {
		for _, f := range s.Frames {
			said[s.MAC] += s.Thing + ": " + f.Text + f.Err
		}
	}
	if err != nil || said[fridgeMAC] != "fridge: temperature 4 °C, battery 90 %" || said[lockedMAC] != ": encrypted, no key" {
		t.Errorf("ble scan: %v, %v", err, said)
	}
	out, err = d.command(t, "ble", "scan", "--for", "100ms", "--emit", "yaml")
	want := `  atc-8d18b2-8d18b2: # -80 dBm: encrypted, no key
    ble: {mac: "A4:C1:38:8D:18:B2", decode: pvvx, bindkey: file:atc-8d18b2-8d18b2.key}
`
	if err != nil || out != "things:\n"+want {
		t.Errorf("ble scan --emit yaml: %v\n%s", err, out)
	}
	out, err = d.command(t, "status")
	if err != nil || !strings.Contains(out, "radio    hci0 00:1A:7D:DA:71:13, active, ") || !strings.Contains(out, "serial:"+scale.Path()+" serial") {
		t.Errorf("status: %v\n%s", err, out)
	}

	// A device that is taken on while the daemon runs, with its key; the others
	// go on untouched.
	if err := os.WriteFile(filepath.Join(dir, "locked.key"), []byte("b9ea895fac7eea6d30532432a516f3a3\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "edgeshadow.yaml")
	yaml, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	yaml = append(yaml, "  attic:\n    ble: {mac: \""+lockedMAC+"\", decode: pvvx, bindkey: file:locked.key}\n"...)
	if err := os.WriteFile(file, yaml, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := d.command(t, "reload"); err != nil {
		t.Fatal(out, err)
	}
	d.awaitReported(t, "attic", "temperature", "23.45")
	status, err := d.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, bus := range status.Buses {
		if bus.Type == "serial" && bus.Sessions != 1 || bus.Type == "ble" && (len(bus.Radios) != 1 || bus.Radios[0].Restarts != 0) {
			t.Errorf("after the reload: %+v, want what was there untouched", bus)
		}
	}
}

// Without a daemon the tools open the line and the radio themselves.
func TestSniffAndScan_Alone(t *testing.T) {
	b := bletest.MustBlueZ(t, bletest.Knobs{})
	scale := serialtest.MustOpen(t)
	repeat(t, func() { _, _ = scale.Write([]byte("ST,GS,+12.5kg\r\n")) })
	repeat(t, func() {
		b.Advertise(bletest.Advert{MAC: fridgeMAC, Name: "Fridge 2", RSSI: -60, Services: map[string][]byte{
			"0000fcd2-0000-1000-8000-00805f9b34fb": {0x40, 0x02, 0x90, 0x01, 0x01, 0x5A},
		}})
	})
	alone := &daemon{dir: t.TempDir()}
	out, err := alone.command(t, "serial", "sniff", scale.Path(), "--for", "1s", "--emit", "yaml")
	want := fmt.Sprintf(`things:
  line-1: # "ST,GS,+12.5kg"
    serial:
      port: %s
      line: 9600-8N1
      frame: {end: '\r\n'}
      parse: '^ST,GS,(?P<value_1>[+-]?\s*\d+\.\d+)kg$'
`, scale.Path())
	if err != nil || out != want {
		t.Errorf("serial sniff --emit yaml: %v\n%s", err, out)
	}
	// What is emitted is what the daemon takes.
	file := filepath.Join(alone.dir, "edgeshadow.yaml")
	if err := os.WriteFile(file, []byte(out), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := alone.command(t, "check"); err != nil {
		t.Error(out, err)
	}
	out, err = alone.command(t, "ble", "scan", "--for", "1s")
	if err != nil || !strings.Contains(out, "temperature 4 °C, battery 90 %") {
		t.Errorf("ble scan: %v\n%s", err, out)
	}
	out, err = alone.command(t, "ble", "scan", "--for", "1s", "--emit", "yaml")
	if err != nil || !strings.Contains(out, "  fridge-2-112233: # -60 dBm: temperature 4 °C, battery 90 %\n") {
		t.Errorf("ble scan --emit yaml: %v\n%s", err, out)
	}
	if err := os.WriteFile(file, []byte(out), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := alone.command(t, "check"); err != nil {
		t.Error(out, err)
	}
	if _, err := alone.command(t, "ports", "--json"); err != nil {
		t.Error(err)
	}
}
