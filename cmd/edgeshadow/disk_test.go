package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"golang.org/x/sys/unix"

	"edgeshadow/test/modbustest"
	"edgeshadow/test/porttest"
)

// mustMount mounts a tmpfs, with these options.
func mustMount(t *testing.T, options string) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, options); err != nil {
		t.Skipf("mounts a small tmpfs, which takes root (sudo go test, or a container with CAP_SYS_ADMIN): %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	return dir
}

// leave fills the disk of dir until so many MiB are free.
func leave(t *testing.T, dir string, free int64) {
	t.Helper()
	f, err := os.OpenFile(filepath.Join(dir, "filler"), os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		t.Fatal(err)
	}
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	size := info.Size() + int64(st.Bavail)*st.Bsize - free<<20
	if err = f.Truncate(size); err == nil {
		err = unix.Fallocate(int(f.Fd()), 0, 0, size)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// L12: the disk fills up under a gateway with a bus, a relay and a cloud that is away:
// first readings and messages wait, then nothing is stored, then the last byte is
// gone; each is told with its cure, what can go on does, and all of it comes back
// with the space. One that stops on a full disk loses nothing.
func TestRun_DiskFull(t *testing.T) {
	dir := mustMount(t, "size=192m")
	plc := modbustest.MustServe(t)
	plc.SetInput(1, 0, 20)
	more := `cloud: {endpoint: "mqtt://` + porttest.MustFindAddress(t) + `"}
relay: {line: {from: "local:line/+/data", to: "cloud:site/{1}"}}
buses: {plc: {type: modbus-tcp, host: "` + plc.Addr() + `"}}
things:
  boiler: {bus: plc, every: 50ms, points: {water: {at: "input:0", type: int16}}}
`
	d := MustRunDaemon(t, dir, porttest.MustFindAddress(t), more)
	d.awaitReported(t, "boiler", "water", "20")
	says := func(args ...string) string {
		out, _ := d.command(t, args...) // the doctor finds that the cloud is away
		return out
	}
	awaitSaid := func(what string, args ...string) {
		t.Helper()
		d.await(t, what, func(context.Context) bool { return strings.Contains(says(args...), what) })
	}
	update := func(value string) error {
		_, err := d.command(t, "shadow", "update", "lamp", `{"state":{"desired":{"n":`+value+`}}}`)
		return err
	}

	leave(t, dir, 100)
	awaitSaid("disk almost full: ", "status")
	awaitSaid("below 128 MiB readings are not stored", "doctor")
	plc.SetInput(1, 0, 21)
	d.await(t, "readings are held back", func(ctx context.Context) bool {
		s, err := d.Status(ctx)
		return err == nil && s.Held.Count > 0
	})
	c := mqtt.NewClient(mqtt.NewClientOptions().AddBroker("tcp://" + d.address).SetClientID("line-7"))
	if token := c.Connect(); !token.WaitTimeout(patience) || token.Error() != nil {
		t.Fatal(token.Error())
	}
	defer c.Disconnect(0)
	c.Publish("line/7/data", 1, false, "hello")
	awaitSaid(" refused", "status")
	if err := update("1"); err != nil {
		t.Errorf("a shadow with readings held back: %v", err)
	}

	leave(t, dir, 0)
	awaitSaid("DISK FULL: writes are refused below 64.0 MiB free", "status")
	awaitSaid("hint: free space: journalctl --vacuum-size=50M", "doctor")
	if err := update("2"); err == nil || !strings.Contains(err.Error(), "disk full") {
		t.Errorf("a shadow on a full disk: %v", err)
	}
	if got := says("shadow", "get", "lamp"); !strings.Contains(got, `"n":1`) {
		t.Errorf("the lamp on a full disk is %s", got)
	}
	if s, err := d.Status(t.Context()); err != nil || len(s.Buses) != 1 || !s.Buses[0].Connected {
		t.Errorf("the bus on a full disk: %+v, %v", s.Buses, err)
	}

	leave(t, dir, 150)
	d.awaitReported(t, "boiler", "water", "21")
	d.await(t, "shadows can be written again", func(context.Context) bool { return update("3") == nil })

	leave(t, dir, 0)
	if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	<-d.done
	if code := d.cmd.ProcessState.ExitCode(); code != 0 && code != 1 { // 1: the relay does not get its place written, either
		t.Errorf("it ends with %v on a full disk", d.ended)
	}
	if !strings.Contains(d.log.String(), "level=WARN msg=\"store is left open for lack of disk space") {
		t.Errorf("it stops on a full disk without a word:\n%s", d.log.String())
	}
	refused := exec.Command(d.cmd.Path, d.cmd.Args[1:]...)
	refused.Env = d.cmd.Env
	if out, err := refused.CombinedOutput(); err == nil || !bytes.Contains(out, []byte("hint: free space on the file system of "+dir)) {
		t.Errorf("a start on a full disk: %v\n%s", err, out)
	}
	leave(t, dir, 150)
	d = MustRunDaemon(t, dir, porttest.MustFindAddress(t), more)
	if got := says("shadow", "get", "lamp"); !strings.Contains(got, `"n":3`) {
		t.Errorf("the lamp after the full disk is %s", got)
	}
}

// A store that can't be written ends the start, and daemon and doctor name the
// cure: of a file system that is read-only, and of one that is somebody else's.
func TestRun_StoreWithoutAccess(t *testing.T) {
	for _, tt := range []struct {
		name   string
		hint   string // with %: the path
		break_ func(t *testing.T, data string)
		user   uint32
	}{
		{"read-only", "hint: the file system is mounted read-only: findmnt -T %", func(t *testing.T, data string) {
			if err := syscall.Mount("", filepath.Dir(data), "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
				t.Fatal(err)
			}
		}, 0},
		{"somebody else's", "hint: chown -R edgeshadow: %", func(t *testing.T, data string) {
			if err := os.Chmod(data, 0o700); err != nil {
				t.Fatal(err)
			}
		}, nobody},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := mustMount(t, "size=192m,mode=755")
			if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil { // of this test, for another user
				t.Fatal(err)
			}
			data := filepath.Join(dir, "data")
			if err := os.Mkdir(data, 0o755); err != nil {
				t.Fatal(err)
			}
			yaml := "config_version: 1\nstore: {path: " + data + "}\nbroker: {listeners: [{address: \"127.0.0.1:0\"}]}\n"
			file, self := filepath.Join(dir, "edgeshadow.yaml"), mustCopySelf(t, dir)
			if err := os.WriteFile(file, []byte(yaml), 0o644); err != nil {
				t.Fatal(err)
			}
			tt.break_(t, data)
			for _, args := range [][]string{{"run"}, {"doctor"}} {
				c := exec.CommandContext(t.Context(), self, append(args, "-c", file)...)
				c.Env = append(os.Environ(), "EDGESHADOW_SOCKET=/none/api.sock")
				c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: tt.user, Gid: tt.user}}
				out, err := c.CombinedOutput()
				var exit *exec.ExitError
				if want := strings.ReplaceAll(tt.hint, "%", data); !errors.As(err, &exit) || exit.ExitCode() != 1 || !bytes.Contains(out, []byte(want)) {
					t.Errorf("%s: %v, want exit code 1 and %q:\n%s", args[0], err, want, out)
				}
			}
		})
	}
}
