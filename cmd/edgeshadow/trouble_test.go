package main

import (
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"edgeshadow/test/bletest"
	"edgeshadow/test/modbustest"
	"edgeshadow/test/serialtest"
)

// nobody is a user without rights, on every Linux.
const nobody = 65534

// mustCopySelf makes edgeshadow one that each user may run.
func mustCopySelf(t *testing.T, dir string) string {
	t.Helper()
	self := filepath.Join(dir, "edgeshadow")
	from, err := os.Open(MustFindSelf(t))
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	to, err := os.OpenFile(self, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.Copy(to, from)
	if err := to.Close(); err != nil {
		t.Fatal(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return self
}

// L26: a port that the daemon's user may not open is told with its cure, in status
// and by the doctor, the rest goes on, and the port too as soon as it may.
func TestRun_PortWithoutPermission(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("runs the daemon as another user, which takes root: sudo go test")
	}
	scale, plc := serialtest.MustOpen(t), modbustest.MustServe(t)
	plc.SetInput(1, 0, 20)
	tty, err := filepath.EvalSymlinks(scale.Path())
	if err == nil {
		err = os.Chmod(tty, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, open := range []string{dir, filepath.Dir(dir), filepath.Dir(scale.Path()), filepath.Dir(filepath.Dir(scale.Path()))} {
		if err := os.Chmod(open, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	self := mustCopySelf(t, dir)
	d := mustRun(t, dir, `{address: "127.0.0.1:0"}`, `buses: {plc: {type: modbus-tcp, host: "`+plc.Addr()+`"}}
things:
  boiler: {bus: plc, every: 1s, points: {water: {at: "input:0", type: int16}}}
  scale:
    serial: {port: `+scale.Path()+`, line: 9600-7E1, frame: {end: "\r\n"}, parse: '(?P<weight>[+-]\d+\.\d)kg'}
`, func(cmd *exec.Cmd) {
		cmd.Path = self
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
	})
	d.awaitReported(t, "boiler", "water", "20")
	want := "open " + scale.Path() + ": no permission; the user needs the group dialout"
	d.await(t, "status tells: "+want, func(context.Context) bool {
		out, err := d.command(t, "status")
		return err == nil && strings.Contains(out, want)
	})
	doctor := exec.CommandContext(t.Context(), self, "doctor", "-c", filepath.Join(dir, "edgeshadow.yaml"))
	doctor.Env, doctor.SysProcAttr = d.cmd.Env, d.cmd.SysProcAttr
	out, err := doctor.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "fail  port "+scale.Path()+": this user may not use "+scale.Path()+": permission denied\n      hint: chgrp dialout "+scale.Path()) {
		t.Errorf("doctor: %v\n%s", err, out)
	}
	if err := os.Chmod(tty, 0o666); err != nil {
		t.Fatal(err)
	}
	repeat(t, func() { _, _ = scale.Write([]byte("+12.5kg\r\n")) })
	d.awaitReported(t, "scale", "weight", "12.5")
}

// A system bus that is killed takes the radio along, and nothing else: it is told
// with its cure, and both come back by themselves.
func TestRun_KilledDBus(t *testing.T) {
	b := bletest.MustBlueZ(t, bletest.Knobs{})
	plc := modbustest.MustServe(t)
	plc.SetInput(1, 0, 20)
	d := MustRunDaemon(t, t.TempDir(), "127.0.0.1:0", `buses: {plc: {type: modbus-tcp, host: "`+plc.Addr()+`"}}
things:
  boiler: {bus: plc, every: 50ms, points: {water: {at: "input:0", type: int16}}}
  fridge:
    ble: {mac: "`+fridgeMAC+`", decode: auto, offline_after: 15m}
`)
	celsius := byte(0x01) // 256 hundredths and what is added
	advertise := func() {
		b.Advertise(bletest.Advert{MAC: fridgeMAC, Name: "Fridge", RSSI: -60, Services: map[string][]byte{
			"0000fcd2-0000-1000-8000-00805f9b34fb": {0x40, 0x02, 0x90, celsius},
		}})
	}
	if err := b.AwaitListening(t.Context()); err != nil {
		t.Fatal(err)
	}
	advertise()
	d.awaitReported(t, "fridge", "temperature", "4")

	b.Stop()
	b.Bus().Stop()
	says := func(what string, args ...string) func(context.Context) bool {
		return func(context.Context) bool {
			out, _ := d.command(t, args...) // the doctor fails
			return strings.Contains(out, what)
		}
	}
	d.await(t, "status tells of the bus", says("bluetooth", "status"))
	d.await(t, "the doctor has the cure", says("hint: is BlueZ there?", "doctor"))
	plc.SetInput(1, 0, 21)
	d.awaitReported(t, "boiler", "water", "21")

	b.Bus().Start()
	b.Start()
	celsius = 0x02
	repeat(t, advertise)
	d.awaitReported(t, "fridge", "temperature", "6.56")
}
