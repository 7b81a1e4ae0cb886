package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A disk whose file system turns read-only upon a fault (SYNC F-25) ends the daemon, with the
// cure, and soon: systemd starts it anew until it may write. Nothing that was
// acknowledged is lost.
func TestRun_DiskTurnsReadOnly(t *testing.T) {
	dir, device := mustMountExt4(t)
	d := MustRunDaemon(t, dir, "127.0.0.1:0", "")
	const update, accepted = `{"state":{"desired":{"n":1}}}`, `"n":1`
	if out, err := d.command(t, "shadow", "update", "lamp", update); err != nil {
		t.Fatal(out, err)
	}
	trigger := filepath.Join("/sys/fs/ext4", device, "trigger_fs_error")
	if err := os.WriteFile(trigger, []byte("test"), 0o200); err != nil {
		t.Skipf("needs a kernel with %s: %v", trigger, err)
	}
	if out, err := d.command(t, "shadow", "update", "lamp", `{"state":{"desired":{"n":2}}}`); err == nil {
		t.Errorf("accepted on a disk that is read-only: %s", out)
	}
	select {
	case <-d.done:
	case <-time.After(patience):
		t.Fatal("the daemon lives on without a store")
	}
	if log := d.log.String(); d.cmd.ProcessState.ExitCode() != 1 || !strings.Contains(log, "\nhint: the file system is mounted read-only: findmnt -T "+dir) {
		t.Errorf("it ended with %v:\n%s", d.ended, log)
	}
	mustRemount(t, dir)
	d = MustRunDaemon(t, dir, "127.0.0.1:0", "")
	if out, err := d.command(t, "shadow", "get", "lamp"); err != nil || !strings.Contains(out, accepted) {
		t.Errorf("after the fault: %v, %s", err, out)
	}
	d.stop(t)
}

// mustMountExt4 mounts a file system of its own, and names its block device.
func mustMountExt4(t *testing.T) (dir, device string) {
	t.Helper()
	image := filepath.Join(t.TempDir(), "disk")
	if err := os.WriteFile(image, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(image, 300<<20); err != nil {
		t.Fatal(err)
	}
	dir = t.TempDir()
	if out, err := exec.Command("mkfs.ext4", "-q", image).CombinedOutput(); err != nil {
		t.Skipf("makes a file system, which takes mkfs.ext4 (apt-get install e2fsprogs): %v %s", err, out)
	}
	if out, err := exec.Command("mount", "-o", "loop,errors=remount-ro", image, dir).CombinedOutput(); err != nil {
		t.Skipf("mounts a file, which takes root and a loop device (sudo go test): %v %s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", dir).CombinedOutput(); err != nil {
			t.Errorf("umount: %v %s", err, out)
		}
	})
	source, err := exec.Command("findmnt", "-n", "-o", "SOURCE", dir).Output()
	if err != nil {
		t.Fatal(err)
	}
	return dir, filepath.Base(strings.TrimSpace(string(source)))
}

// mustRemount repairs the file system and mounts it again.
func mustRemount(t *testing.T, dir string) {
	t.Helper()
	source, err := exec.Command("findmnt", "-n", "-o", "SOURCE", dir).Output()
	if err != nil {
		t.Fatal(err)
	}
	device := strings.TrimSpace(string(source))
	image, err := exec.Command("losetup", "-n", "-O", "BACK-FILE", device).Output()
	if err != nil {
		t.Fatal(err)
	}
	file := strings.TrimSpace(string(image))
	if out, err := exec.Command("umount", dir).CombinedOutput(); err != nil {
		t.Fatalf("umount: %v %s", err, out)
	}
	_ = exec.Command("fsck.ext4", "-fy", file).Run() // it says so when it mended something
	if out, err := exec.Command("mount", "-o", "loop", file, dir).CombinedOutput(); err != nil {
		t.Fatalf("mount: %v %s", err, out)
	}
}
