package ble_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"edgeshadow/adapters/ble"
	"edgeshadow/test/bletest"
	"edgeshadow/test/fieldtest"
)

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
	r.AwaitValue(t, "bthome/temperature", num("25.06"))
	want := "mi: encrypted with another key; pvvx: encrypted, no key"
	fieldtest.Await(t, want, func() bool { return d.Stats().Err == want })
	found := false
	for _, s := range d.Seen() {
		found = found || s.Thing == "pvvx" && len(s.Frames) == 1 && s.Frames[0].Err == "encrypted, no key"
	}
	if !found {
		t.Errorf("the devices that are near, %+v, tell not what wants a key", d.Seen())
	}
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
		r.AwaitValue(t, "fridge/battery", num(fmt.Sprint(i)))
		b.Stop()
		fieldtest.Await(t, "it is noticed that bluetoothd is gone", func() bool {
			return d.Stats().Err == "bluetoothd is gone; it is waited for"
		})
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
			fieldtest.Await(t, "the fridge is heard", func() bool {
				b.Advertise(bthome(fridge, 0x01, 50))
				return r.Times("fridge/battery") > 0
			})
			r.AwaitValue(t, "fridge/battery", num("50"))
		})
	}
}

// L26: who lacks the permission is told the group that has it.
func TestL26_Denied(t *testing.T) {
	b := bletest.MustBlueZ(t, bletest.Knobs{Denied: true})
	d := MustDriver(t, map[string]ble.Thing{"fridge": {Config: ble.Config{MAC: fridge}}})
	MustRun(t, d)
	fieldtest.Await(t, "the error has the cure", func() bool { return strings.Contains(d.Stats().Err, "the user needs the group bluetooth") })
	b.Turn(func(k *bletest.Knobs) { k.Denied = false })
	mustListen(t, b)
}

// The bus itself goes, and another takes its place.
func TestDriver_BusGoneAndBack(t *testing.T) {
	b := bletest.MustBlueZ(t, bletest.Knobs{})
	d := MustDriver(t, map[string]ble.Thing{"fridge": {Config: ble.Config{MAC: fridge}}})
	r := MustRun(t, d)
	mustListen(t, b)
	b.Bus().Stop()
	fieldtest.Await(t, "the bus is noticed to be gone", func() bool { return d.Stats().Err != "" })
	if d.Stats().Connected {
		t.Error("connected over a bus that is gone")
	}
	other := bletest.MustBlueZ(t, bletest.Knobs{})
	mustListen(t, other)
	other.Advertise(bthome(fridge, 0x01, 9))
	r.AwaitValue(t, "fridge/battery", num("9"))
	if why := d.Stats().Err; why != "" {
		t.Errorf("the error is %q, want none", why)
	}
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
	r.AwaitValue(t, "fridge/battery", num("119"))
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
