package ble_test

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"edgeshadow/adapters"
	"edgeshadow/adapters/ble"
	"edgeshadow/test/bletest"
	"edgeshadow/test/fieldtest"
)

// patience is how long a test waits for what is to come at once.
const patience = 20 * time.Second

func num(text string) json.Number { return json.Number(text) }

// MustDriver is a driver of things whose sections are valid.
func MustDriver(tb testing.TB, things map[string]ble.Thing) *ble.Driver {
	tb.Helper()
	for name, t := range things {
		fault := func(key, text string) { tb.Errorf("%s.%s: %s", name, key, text) }
		t.Validate(t.Points, fault, fault)
	}
	d, err := ble.New(things, nil)
	if err != nil {
		tb.Fatal(err)
	}
	return d
}

// MustRun runs a driver until the test ends.
func MustRun(tb testing.TB, d *ble.Driver) *fieldtest.Readings {
	tb.Helper()
	r := &fieldtest.Readings{}
	ctx, cancel := context.WithCancel(tb.Context())
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx, r.Emit) }()
	tb.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			tb.Errorf("run: %v", err)
		}
	})
	return r
}

func deadline(tb testing.TB) context.Context {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), patience)
	tb.Cleanup(cancel)
	return ctx
}

func mustListen(tb testing.TB, b *bletest.BlueZ) {
	tb.Helper()
	if err := b.AwaitListening(deadline(tb)); err != nil {
		tb.Fatal(err)
	}
}

// keyFile holds a bindkey.
func keyFile(tb testing.TB, key []byte) string {
	tb.Helper()
	if key == nil {
		return ""
	}
	name := filepath.Join(tb.TempDir(), "key")
	if err := os.WriteFile(name, []byte(hex.EncodeToString(key)+"\n"), 0o600); err != nil {
		tb.Fatal(err)
	}
	return name
}

// bthome is service data of BTHome v2.
func bthome(mac string, raw ...byte) bletest.Advert {
	return bletest.Advert{MAC: mac, RSSI: -60, Services: map[string][]byte{"0000fcd2-0000-1000-8000-00805f9b34fb": append([]byte{0x40}, raw...)}}
}

const fridge = "A4:C1:38:11:22:33"

// Each published vector goes the whole way: over the bus, as BlueZ hands it on.
func TestDriver_PublishedVectors(t *testing.T) {
	for _, v := range bletest.Vectors {
		a, key, err := v.Advert()
		if err != nil {
			t.Fatal(err)
		}
		if v.Want == "" {
			continue
		}
		t.Run(v.Format+"/"+v.Name, func(t *testing.T) {
			b := bletest.MustBlueZ(t, bletest.Knobs{})
			points := map[string]adapters.Point{} // so that what is quiet is reported too
			for _, pair := range strings.Fields(v.Want) {
				name, _, _ := strings.Cut(pair, "=")
				points[name] = adapters.Point{}
			}
			d := MustDriver(t, map[string]ble.Thing{"dev": {Config: ble.Config{MAC: a.MAC, Bindkey: keyFile(t, key)}, Points: points}})
			r := MustRun(t, d)
			mustListen(t, b)
			b.Advertise(a)
			for _, pair := range strings.Fields(v.Want) {
				name, want, _ := strings.Cut(pair, "=")
				r.Await(t, pair, func(last map[string]adapters.Reading) bool { return fmt.Sprint(last["dev/"+name].Value) == want })
			}
		})
	}
}

// A packet that is heard again is a sign of life; an event counts once.
func TestDriver_Repeats(t *testing.T) {
	b := bletest.MustBlueZ(t, bletest.Knobs{})
	d := MustDriver(t, map[string]ble.Thing{"fridge": {Config: ble.Config{MAC: fridge}, Points: map[string]adapters.Point{"rssi": {}}}})
	r := MustRun(t, d)
	mustListen(t, b)
	press := bthome(fridge, 0x00, 1, 0x3A, 1)
	for range 3 {
		b.Advertise(press)
	}
	fieldtest.Await(t, "three times heard", func() bool { return r.Times("fridge/button") == 3 })
	r.AwaitValue(t, "fridge/button_count", num("1"))
	b.Advertise(bthome(fridge, 0x00, 2, 0x3A, 1))
	r.AwaitValue(t, "fridge/button_count", num("2"))
	// Only the strength changed: it is there all the same.
	n := r.Times("fridge/button")
	b.Advertise(bletest.Advert{MAC: fridge, RSSI: -71})
	r.AwaitValue(t, "fridge/rssi", num("-71"))
	if r.Times("fridge/button") != n+1 {
		t.Error("a device that only said how near it is was not heard")
	}
}

// What no decoder knows is described.
func TestDriver_Rules(t *testing.T) {
	b := bletest.MustBlueZ(t, bletest.Knobs{})
	things := map[string]ble.Thing{"tank": {Config: ble.Config{MAC: fridge, Decode: "none", Values: map[string]ble.Rule{}}}}
	level := ble.Rule{Data: "manufacturer:0x0ABC"}
	level.At, level.Type = 1, "uint16"
	state := ble.Rule{Data: "service:fff0"}
	state.Bit = new(int)
	things["tank"].Values["level"], things["tank"].Values["closed"] = level, state
	r := MustRun(t, MustDriver(t, things))
	mustListen(t, b)
	b.Advertise(bletest.Advert{
		MAC: fridge, Manufacturer: map[uint16][]byte{0x0ABC: {0xFF, 0x34, 0x12}},
		Services: map[string][]byte{"0000fff0-0000-1000-8000-00805f9b34fb": {0x01}},
	})
	r.AwaitValue(t, "tank/level", num("4660"))
	r.AwaitValue(t, "tank/closed", true)
	b.Advertise(bletest.Advert{MAC: fridge, Manufacturer: map[uint16][]byte{0x0ABC: {0xFF}}})
	r.Await(t, "a bad level", func(last map[string]adapters.Reading) bool { return last["tank/level"].Quality == adapters.Bad })
}

func TestDriver_DiscoveryInterrupted(t *testing.T) {
	b := bletest.MustBlueZ(t, bletest.Knobs{FilterBusy: true})
	d := MustDriver(t, map[string]ble.Thing{"fridge": {Config: ble.Config{MAC: fridge}}})
	r := MustRun(t, d)
	mustListen(t, b)
	b.Interrupt()
	if err := b.AwaitCalls(deadline(t), "StartDiscovery", 2); err != nil {
		t.Fatal(err)
	}
	mustListen(t, b)
	b.Advertise(bthome(fridge, 0x01, 7))
	r.AwaitValue(t, "fridge/battery", num("7"))
}

// An adapter that is blocked is told with its cure, and is tried again.
func TestDriver_Blocked(t *testing.T) {
	b := bletest.MustBlueZ(t, bletest.Knobs{Blocked: true})
	d := MustDriver(t, map[string]ble.Thing{"fridge": {Config: ble.Config{MAC: fridge}}})
	MustRun(t, d)
	fieldtest.Await(t, "the error has the cure", func() bool { return strings.Contains(d.Stats().Err, "rfkill unblock bluetooth") })
	b.Turn(func(k *bletest.Knobs) { k.Blocked = false })
	mustListen(t, b)
}

// Where bluetoothd offers it and nothing needs more, nothing is asked on the air.
func TestDriver_Passive(t *testing.T) {
	b := bletest.MustBlueZ(t, bletest.Knobs{Passive: true})
	d := MustDriver(t, map[string]ble.Thing{"fridge": {Config: ble.Config{MAC: fridge}}})
	r := MustRun(t, d)
	mustListen(t, b)
	b.Advertise(bthome(fridge, 0x01, 9))
	r.AwaitValue(t, "fridge/battery", num("9"))
	if n := b.Calls("StartDiscovery"); n != 0 {
		t.Errorf("%d discoveries, want none", n)
	}
	fieldtest.Await(t, "the radio is passive", func() bool { return d.Stats().Radios[0].State == "passive" })
}

// A thing that wants more than listening has the adapter discover; what is heard
// passively goes on being heard.
func TestDriver_PassiveNoMore(t *testing.T) {
	b := bletest.MustBlueZ(t, bletest.Knobs{Passive: true})
	_, things := MustValve(t, b)
	d := MustDriver(t, map[string]ble.Thing{"fridge": {Config: ble.Config{MAC: fridge}}})
	r := MustRun(t, d)
	mustListen(t, b)
	things["fridge"] = ble.Thing{Config: ble.Config{MAC: fridge}}
	commit, _, err := d.Prepare(things)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.AwaitCalls(deadline(t), "RegisterMonitor", 1); err != nil {
		t.Fatal(err)
	}
	fieldtest.Await(t, "the radio is passive", func() bool { return d.Stats().Radios[0].State == "passive" })
	commit()
	if err := b.AwaitCalls(deadline(t), "StartDiscovery", 1); err != nil {
		t.Fatal(err)
	}
	b.Advertise(bletest.Advert{MAC: valve, RSSI: -50})
	b.Advertise(bthome(fridge, 0x01, 9))
	r.AwaitValue(t, "valve/level", num("42"))
	r.AwaitValue(t, "fridge/battery", num("9"))

	// What is gone is let go, and what stays is not touched.
	commit, _, err = d.Prepare(map[string]ble.Thing{"fridge": {Config: ble.Config{MAC: fridge}}})
	if err != nil {
		t.Fatal(err)
	}
	commit()
	if err := b.AwaitCalls(deadline(t), "Disconnect", 1); err != nil {
		t.Fatal(err)
	}
	b.Advertise(bthome(fridge, 0x01, 8))
	r.AwaitValue(t, "fridge/battery", num("8"))
}

func TestDriver_PassiveThatNeverBegins(t *testing.T) {
	b := bletest.MustBlueZ(t, bletest.Knobs{Passive: true, NoActivate: true})
	d := MustDriver(t, map[string]ble.Thing{"fridge": {Config: ble.Config{MAC: fridge}}})
	d.Patience = 500 * time.Millisecond
	r := MustRun(t, d)
	mustListen(t, b)
	b.Advertise(bthome(fridge, 0x01, 9))
	r.AwaitValue(t, "fridge/battery", num("9"))
}

// What BlueZ remembers of a device that is not heard is no reading.
func TestDriver_RememberedIsNotHeard(t *testing.T) {
	b := bletest.MustBlueZ(t, bletest.Knobs{})
	b.Remember(bthome(fridge, 0x01, 1))
	d := MustDriver(t, map[string]ble.Thing{"fridge": {Config: ble.Config{MAC: fridge}}})
	r := MustRun(t, d)
	mustListen(t, b)
	b.Advertise(bthome(fridge, 0x01, 2))
	r.AwaitValue(t, "fridge/battery", num("2"))
	if n := r.Times("fridge/battery"); n != 1 {
		t.Errorf("%d readings, want the one that was heard", n)
	}
}

// A watchdog sees since when the driver is at what it is at, and that it is done.
func TestDriver_TellsItsTurn(t *testing.T) {
	b := bletest.MustBlueZ(t, bletest.Knobs{})
	d := MustDriver(t, map[string]ble.Thing{"fridge": {Config: ble.Config{MAC: fridge}}})
	_, stop := fieldtest.MustHang(t, d, func() {
		mustListen(t, b)
		b.Advertise(bthome(fridge, 0x00, 1, 0x3A, 1))
	})
	fieldtest.Await(t, "it waits again", func() bool { return d.Stats().BusySince == nil })
	if err := stop(); err != nil {
		t.Error(err)
	}
}
