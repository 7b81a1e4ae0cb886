package ble_test

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"edgeshadow/adapters"
	"edgeshadow/adapters/ble"
	"edgeshadow/test/bletest"
)

// patience is how long a test waits for what is to come at once.
const patience = 20 * time.Second

// readings are what a driver emitted.
type readings struct {
	mu      sync.Mutex
	changed *sync.Cond
	last    map[string]adapters.Reading // by thing/path
	count   map[string]int
}

func newReadings() *readings {
	r := &readings{last: map[string]adapters.Reading{}, count: map[string]int{}}
	r.changed = sync.NewCond(&r.mu)
	return r
}

func (r *readings) emit(list ...adapters.Reading) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, reading := range list {
		key := reading.Thing + "/" + reading.Path
		r.last[key] = reading
		r.count[key]++
	}
	r.changed.Broadcast()
}

func (r *readings) await(tb testing.TB, what string, done func() bool) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), patience)
	defer cancel()
	defer context.AfterFunc(ctx, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.changed.Broadcast()
	})()
	r.mu.Lock()
	defer r.mu.Unlock()
	for !done() {
		if ctx.Err() != nil {
			tb.Fatalf("await %s, have %+v", what, r.last)
		}
		r.changed.Wait()
	}
}

// value waits until a point has a value.
func (r *readings) value(tb testing.TB, key string, value any) {
	tb.Helper()
	r.await(tb, fmt.Sprintf("%s = %v", key, value), func() bool { return r.last[key].Value == value })
}

func (r *readings) times(key string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.count[key]
}

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
func MustRun(tb testing.TB, d *ble.Driver) *readings {
	tb.Helper()
	r := newReadings()
	ctx, cancel := context.WithCancel(tb.Context())
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx, r.emit) }()
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
				r.await(t, pair, func() bool { return fmt.Sprint(r.last["dev/"+name].Value) == want })
			}
		})
	}
}

// L28: with the key the values come, without it or with another the operator is
// told which.
func TestL28_Encrypted(t *testing.T) {
	b := bletest.MustBlueZ(t, bletest.Knobs{})
	things := map[string]ble.Thing{}
	var adverts []bletest.Advert
	for i, c := range []struct{ name, format string }{
		{"bthome", "bthome"}, {"pvvx", "pvvx"}, {"mi", "mibeacon"},
	} {
		for _, v := range bletest.Vectors {
			if v.Format != c.format || v.Key == "" || v.Err != "" {
				continue
			}
			a, key, err := v.Advert()
			if err != nil {
				t.Fatal(err)
			}
			adverts = append(adverts, a)
			switch i {
			case 0:
				things[c.name] = ble.Thing{Config: ble.Config{MAC: a.MAC, Bindkey: keyFile(t, key)}}
			case 1:
				things[c.name] = ble.Thing{Config: ble.Config{MAC: a.MAC}}
			case 2:
				things[c.name] = ble.Thing{Config: ble.Config{MAC: a.MAC, Bindkey: keyFile(t, make([]byte, 16))}}
			}
			break
		}
	}
	d := MustDriver(t, things)
	r := MustRun(t, d)
	mustListen(t, b)
	for _, a := range adverts {
		b.Advertise(a)
	}
	r.value(t, "bthome/temperature", num("25.06"))
	want := "mi: encrypted with another key; pvvx: encrypted, no key"
	r.await(t, want, func() bool { return d.Stats().Err == want })
	found := false
	for _, s := range d.Seen() {
		found = found || s.Thing == "pvvx" && len(s.Frames) == 1 && s.Frames[0].Err == "encrypted, no key"
	}
	if !found {
		t.Errorf("the devices that are near, %+v, tell not what wants a key", d.Seen())
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
	r.await(t, "three times heard", func() bool { return r.count["fridge/button"] == 3 })
	r.value(t, "fridge/button_count", num("1"))
	b.Advertise(bthome(fridge, 0x00, 2, 0x3A, 1))
	r.value(t, "fridge/button_count", num("2"))
	// Only the strength changed: it is there all the same.
	n := r.times("fridge/button")
	b.Advertise(bletest.Advert{MAC: fridge, RSSI: -71})
	r.value(t, "fridge/rssi", num("-71"))
	if r.times("fridge/button") != n+1 {
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
	r.value(t, "tank/level", num("4660"))
	r.value(t, "tank/closed", true)
	b.Advertise(bletest.Advert{MAC: fridge, Manufacturer: map[uint16][]byte{0x0ABC: {0xFF}}})
	r.await(t, "a bad level", func() bool { return r.last["tank/level"].Quality == adapters.Bad })
}

// L27: bluetoothd goes and comes back, and the bus itself does; nobody restarts
// anything.
func TestL27_DaemonGoneAndBack(t *testing.T) {
	b := bletest.MustBlueZ(t, bletest.Knobs{})
	d := MustDriver(t, map[string]ble.Thing{"fridge": {Config: ble.Config{MAC: fridge}}})
	r := MustRun(t, d)
	for i := range 3 {
		mustListen(t, b)
		b.Advertise(bthome(fridge, 0x01, byte(i)))
		r.value(t, "fridge/battery", num(fmt.Sprint(i)))
		b.Stop()
		for end := time.Now().Add(patience); d.Stats().Err != "bluetoothd is gone; it is waited for"; time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("nobody noticed that bluetoothd is gone: %+v", d.Stats())
			}
		}
		if d.Stats().Connected {
			t.Error("connected to a daemon that is gone")
		}
		b.Start()
	}
	mustListen(t, b)
	s := d.Stats()
	if len(s.Radios) != 1 || s.Radios[0].Lost != 3 || s.Radios[0].Adverts != 3 {
		t.Errorf("radios %+v, want one that was lost three times and goes on counting", s.Radios)
	}
}

// L27: the ladder. An adapter that hears nothing is told to discover anew, and
// then switched off and on.
func TestL27_HangingAdapter(t *testing.T) {
	for name, c := range map[string]struct {
		knobs  bletest.Knobs
		cycles uint64
	}{
		"discovery hangs": {bletest.Knobs{Deaf: 2}, 0},
		"adapter hangs":   {bletest.Knobs{DeafUntilPower: true}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			b := bletest.MustBlueZ(t, c.knobs)
			d := MustDriver(t, map[string]ble.Thing{"fridge": {Config: ble.Config{MAC: fridge}}})
			d.Patience = 50 * time.Millisecond
			r := MustRun(t, d)
			mustListen(t, b)
			s := d.Stats().Radios[0]
			if s.Restarts == 0 || s.PowerCycles < c.cycles {
				t.Errorf("restarts %d, power cycles %d; want some, and at least %d", s.Restarts, s.PowerCycles, c.cycles)
			}
			for end := time.Now().Add(patience); r.times("fridge/battery") == 0 && time.Now().Before(end); time.Sleep(time.Millisecond) {
				b.Advertise(bthome(fridge, 0x01, 50))
			}
			r.value(t, "fridge/battery", num("50"))
		})
	}
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
	r.value(t, "fridge/battery", num("7"))
}

// An adapter that is blocked is told with its cure, and is tried again.
func TestDriver_Blocked(t *testing.T) {
	b := bletest.MustBlueZ(t, bletest.Knobs{Blocked: true})
	d := MustDriver(t, map[string]ble.Thing{"fridge": {Config: ble.Config{MAC: fridge}}})
	MustRun(t, d)
	for end := time.Now().Add(patience); !strings.Contains(d.Stats().Err, "rfkill unblock bluetooth"); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("the error is %q, want the cure", d.Stats().Err)
		}
	}
	b.Turn(func(k *bletest.Knobs) { k.Blocked = false })
	mustListen(t, b)
}

// L26: who lacks the permission is told the group that has it.
func TestL26_Denied(t *testing.T) {
	b := bletest.MustBlueZ(t, bletest.Knobs{Denied: true})
	d := MustDriver(t, map[string]ble.Thing{"fridge": {Config: ble.Config{MAC: fridge}}})
	MustRun(t, d)
	for end := time.Now().Add(patience); !strings.Contains(d.Stats().Err, "the user needs the group bluetooth"); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("the error is %q, want the cure", d.Stats().Err)
		}
	}
	b.Turn(func(k *bletest.Knobs) { k.Denied = false })
	mustListen(t, b)
}

// Where bluetoothd offers it and nothing needs more, nothing is asked on the air.
func TestDriver_Passive(t *testing.T) {
	b := bletest.MustBlueZ(t, bletest.Knobs{Passive: true})
	d := MustDriver(t, map[string]ble.Thing{"fridge": {Config: ble.Config{MAC: fridge}}})
	r := MustRun(t, d)
	mustListen(t, b)
	b.Advertise(bthome(fridge, 0x01, 9))
	r.value(t, "fridge/battery", num("9"))
	if n := b.Calls("StartDiscovery"); n != 0 {
		t.Errorf("%d discoveries, want none", n)
	}
	for end := time.Now().Add(patience); d.Stats().Radios[0].State != "passive"; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("state %q, want passive", d.Stats().Radios[0].State)
		}
	}
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
	for end := time.Now().Add(patience); d.Stats().Radios[0].State != "passive" && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	commit()
	if err := b.AwaitCalls(deadline(t), "StartDiscovery", 1); err != nil {
		t.Fatal(err)
	}
	b.Advertise(bletest.Advert{MAC: valve, RSSI: -50})
	b.Advertise(bthome(fridge, 0x01, 9))
	r.value(t, "valve/level", num("42"))
	r.value(t, "fridge/battery", num("9"))

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
	r.value(t, "fridge/battery", num("8"))
}

func TestDriver_PassiveThatNeverBegins(t *testing.T) {
	b := bletest.MustBlueZ(t, bletest.Knobs{Passive: true, NoActivate: true})
	d := MustDriver(t, map[string]ble.Thing{"fridge": {Config: ble.Config{MAC: fridge}}})
	d.Patience = 500 * time.Millisecond
	r := MustRun(t, d)
	mustListen(t, b)
	b.Advertise(bthome(fridge, 0x01, 9))
	r.value(t, "fridge/battery", num("9"))
}

// Strangers in masses, each with another address, cost nothing that stays.
func TestDriver_TenThousandAdvertisements(t *testing.T) {
	b := bletest.MustBlueZ(t, bletest.Knobs{Forgetful: true})
	d := MustDriver(t, map[string]ble.Thing{"fridge": {Config: ble.Config{MAC: fridge}}})
	r := MustRun(t, d)
	mustListen(t, b)
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	var before uint64
	const warm, total = 2_000, 12_000
	for i := range total {
		if i == warm {
			before = heap()
		}
		mac := fmt.Sprintf("%02X:%02X:%02X:00:00:01", i>>16&0xFF, i>>8&0xFF, i&0xFF)
		b.Advertise(bthome(mac, 0x01, byte(i)))
		if i%100 == 99 {
			b.Advertise(bthome(fridge, 0x00, byte(i/100), 0x01, byte(i/100)))
		}
	}
	r.value(t, "fridge/battery", num("119"))
	if n := len(d.Seen()); n > ble.MaxSeen {
		t.Errorf("%d devices remembered, the bound is %d", n, ble.MaxSeen)
	}
	if s := d.Stats().Radios[0]; s.Adverts+d.Stats().Discarded < total {
		t.Errorf("%d advertisements counted and %d dropped, want %d", s.Adverts, d.Stats().Discarded, total)
	}
	after := heap()
	if grown := int64(after) - int64(before); grown > 4<<20 {
		t.Errorf("the heap grew by %d bytes over ten thousand", grown)
	}
	t.Logf("heap %d kB, after ten thousand advertisements more %d kB", before>>10, after>>10)
}

// The bus itself goes, and another takes its place.
func TestDriver_BusGoneAndBack(t *testing.T) {
	b := bletest.MustBlueZ(t, bletest.Knobs{})
	d := MustDriver(t, map[string]ble.Thing{"fridge": {Config: ble.Config{MAC: fridge}}})
	r := MustRun(t, d)
	mustListen(t, b)
	b.Bus().Stop()
	for end := time.Now().Add(patience); d.Stats().Err == ""; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("nobody noticed that the bus is gone")
		}
	}
	if d.Stats().Connected {
		t.Error("connected over a bus that is gone")
	}
	other := bletest.MustBlueZ(t, bletest.Knobs{})
	mustListen(t, other)
	other.Advertise(bthome(fridge, 0x01, 9))
	r.value(t, "fridge/battery", num("9"))
	if why := d.Stats().Err; why != "" {
		t.Errorf("the error is %q, want none", why)
	}
}

// What BlueZ remembers of a device that is not heard is no reading.
func TestDriver_RememberedIsNotHeard(t *testing.T) {
	b := bletest.MustBlueZ(t, bletest.Knobs{})
	b.Remember(bthome(fridge, 0x01, 1))
	d := MustDriver(t, map[string]ble.Thing{"fridge": {Config: ble.Config{MAC: fridge}}})
	r := MustRun(t, d)
	mustListen(t, b)
	b.Advertise(bthome(fridge, 0x01, 2))
	r.value(t, "fridge/battery", num("2"))
	if n := r.times("fridge/battery"); n != 1 {
		t.Errorf("%d readings, want the one that was heard", n)
	}
}
