package ble_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"edgeshadow/adapters"
	"edgeshadow/adapters/ble"
	"edgeshadow/test/bletest"
	"edgeshadow/test/fieldtest"
)

const (
	setpointUUID = "0000ff01-0000-1000-8000-00805f9b34fb"
	levelUUID    = "0000ff02-0000-1000-8000-00805f9b34fb"
	valve        = "A4:C1:38:00:00:02"
)

// MustValve is a valve that holds a set-point, and tells its level when it
// changes; and the thing that it is.
func MustValve(tb testing.TB, b *bletest.BlueZ) (*bletest.Peripheral, map[string]ble.Thing) {
	tb.Helper()
	p := b.MustPeripheral(valve, map[string][]byte{setpointUUID: {0xAA, 0xD2, 0x00}, levelUUID: {42}})
	setpoint := ble.Characteristic{UUID: "FF01", Service: "181a", Every: time.Minute}
	setpoint.At, setpoint.Type = 1, "uint16"
	tenth, err := adapters.ParseDecimal("0.1")
	if err != nil {
		tb.Fatal(err)
	}
	return p, map[string]ble.Thing{"valve": {
		Config: ble.Config{MAC: valve, Characteristics: map[string]ble.Characteristic{
			"setpoint": setpoint, "level": {UUID: levelUUID, Notify: true},
		}},
		Points: map[string]adapters.Point{"setpoint": {Scale: &tenth, Write: true}},
	}}
}

func TestGatt(t *testing.T) {
	b := bletest.MustBlueZ(t, bletest.Knobs{Passive: true})
	p, things := MustValve(t, b)
	d := MustDriver(t, things)
	r := MustRun(t, d)
	mustListen(t, b)
	if n := b.Calls("RegisterMonitor"); n != 0 {
		t.Error("a device that is connected to wants a discovery")
	}
	b.Advertise(bletest.Advert{MAC: valve, RSSI: -50})
	r.AwaitValue(t, "valve/setpoint", num("21"))
	r.AwaitValue(t, "valve/level", num("42"))

	if err := b.AwaitCalls(deadline(t), "StartNotify", 1); err != nil {
		t.Fatal(err)
	}
	fieldtest.Await(t, "the device notifies", func() bool { return p.Notify(levelUUID, []byte{43}) })
	r.AwaitValue(t, "valve/level", num("43"))

	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	fitted, err := d.Fit("valve", "setpoint", num("22.54"))
	if err != nil || fitted != num("22.5") {
		t.Fatalf("fit %v, %v; want 22.5", fitted, err)
	}
	got, err := d.Write(ctx, adapters.Command{Thing: "valve", Path: "setpoint", Value: fitted})
	if err != nil || got.Value != num("22.5") {
		t.Fatalf("write: %+v, %v", got, err)
	}
	if held := p.Held(setpointUUID); string(held) != "\xAA\xE1\x00" {
		t.Errorf("the valve holds %x, want aae100: what stands before the value stays", held)
	}
	if _, err := d.Write(ctx, adapters.Command{Thing: "valve", Path: "setpoint", Value: fitted, ReadFirst: true}); err != nil || p.Writes() != 1 {
		t.Errorf("%v, %d writes; what the valve holds is not written again", err, p.Writes())
	}
	p.ReadOnly(setpointUUID)
	var no *adapters.RefusedError
	if _, err := d.Write(ctx, adapters.Command{Thing: "valve", Path: "setpoint", Value: num("5")}); !errors.As(err, &no) || !no.Lasting {
		t.Errorf("a write that is not permitted: %v, want a refusal that lasts", err)
	}
	if _, err := d.Fit("valve", "level", "high"); err == nil {
		t.Error("text fits into a byte")
	}
}

// A connection that breaks, or is refused, is made again.
func TestGatt_Reconnects(t *testing.T) {
	b := bletest.MustBlueZ(t, bletest.Knobs{})
	p, things := MustValve(t, b)
	p.Refuse(1)
	r := MustRun(t, MustDriver(t, things))
	mustListen(t, b)
	b.Advertise(bletest.Advert{MAC: valve, RSSI: -50})
	r.AwaitValue(t, "valve/level", num("42"))
	r.AwaitValue(t, "valve/setpoint", num("21")) // all is read: it rests on what it is told
	p.Hold(levelUUID, []byte{7})
	p.Drop()
	r.AwaitValue(t, "valve/level", num("7"))
}

// A device that is read now and then is let go in between.
func TestGatt_LetGo(t *testing.T) {
	b := bletest.MustBlueZ(t, bletest.Knobs{})
	b.MustPeripheral(valve, map[string][]byte{levelUUID: {42}})
	d := MustDriver(t, map[string]ble.Thing{"valve": {Config: ble.Config{
		MAC: valve, Decode: "none", Characteristics: map[string]ble.Characteristic{"level": {UUID: levelUUID, Every: time.Hour}},
	}}})
	r := MustRun(t, d)
	mustListen(t, b)
	b.Advertise(bletest.Advert{MAC: valve, RSSI: -50})
	r.AwaitValue(t, "valve/level", num("42"))
	if err := b.AwaitCalls(deadline(t), "Disconnect", 1); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		b.Advertise(bletest.Advert{MAC: valve, RSSI: -50})
	}
	if n := b.Calls("Connect"); n != 1 {
		t.Errorf("%d connections within the hour, want one", n)
	}
}
