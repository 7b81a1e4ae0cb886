package doctor

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	serialport "edgeshadow/adapters/port"
	"edgeshadow/localshadow"
)

// clockFloor is a date before which this program did not exist.
var clockFloor = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// clock asks whether the time is right as far as one can tell: a machine without
// a battery begins with a wrong one, and certificates are checked against it.
func (d *Doctor) clock(now time.Time) {
	const hint = "timedatectl set-ntp true, and let UDP port 123 out; certificates are checked against the clock"
	if now.Before(clockFloor) {
		d.say("clock", Fail, "it is not set: "+now.UTC().Format(time.DateTime)+" UTC", hint)
		return
	}
	var t unix.Timex
	state, err := unix.Adjtimex(&t)
	if err == nil && state == unix.TIME_ERROR {
		d.say("clock", Warn, now.UTC().Format(time.DateTime)+" UTC, not synchronised with a time server", hint)
		return
	}
	d.say("clock", OK, now.UTC().Format(time.DateTime)+" UTC", "")
}

// disk asks whether the store has room, and whether the daemon may write there.
func (d *Doctor) disk() {
	path := d.cfg.Store.Path
	existing := path
	for existing != "/" && existing != "." {
		if _, err := os.Stat(existing); err == nil {
			break
		}
		existing = filepath.Dir(existing)
	}
	space, err := localshadow.SpaceAt(existing)
	switch {
	case err != nil:
		d.say("disk", Fail, err.Error(), "")
	case space.Free < space.Need:
		d.say("disk", Fail, fmt.Sprintf("%s: %d MiB free; below %d MiB nothing is stored", path, space.Free>>20, space.Need>>20),
			"free space: journalctl --vacuum-size=50M, apt-get clean, old store.bad-* folders")
	case space.Free < 4*space.Need:
		d.say("disk", Warn, fmt.Sprintf("%s: %d MiB free; below %d MiB readings are not stored, below %d MiB nothing is", path, space.Free>>20, 2*space.Need>>20, space.Need>>20), "")
	default:
		d.say("disk", OK, fmt.Sprintf("%s: %d MiB free", path, space.Free>>20), "")
	}
	if existing != path {
		return // it is made at the first start
	}
	if err := d.may(path, unix.R_OK|unix.W_OK|unix.X_OK); err != nil {
		d.say("disk", Fail, err.Error(), localshadow.AccessHint(path, err))
	}
}

// ports asks whether the serial ports of the configuration are there and may be
// opened.
func (d *Doctor) ports() {
	ports := map[string]string{}
	for name, b := range d.cfg.Buses {
		if b.Port != "" {
			ports[b.Port] = "bus " + name
		}
	}
	for name, t := range d.cfg.Things.Serial() {
		ports[t.Port] = "thing " + name
	}
	for _, port := range slices.Sorted(maps.Keys(ports)) {
		name := "port " + port
		if !filepath.IsAbs(port) {
			continue // of a USB device: edgeshadow ports finds it
		}
		_, err := os.Stat(port)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			d.say(name, Fail, "is not there, and "+ports[port]+" needs it", "is it plugged in? edgeshadow ports lists those that are")
		case err != nil:
			d.say(name, Fail, err.Error(), "")
		default:
			if err := d.may(port, unix.R_OK|unix.W_OK); err != nil {
				d.say(name, Fail, err.Error(), portHint(port))
			} else if stable := (serialport.Machine{}).Unstable(port); stable != "" {
				d.say(name, Warn, "there, for "+ports[port]+"; this name moves with the order of plugging", "write port: "+stable)
			} else {
				d.say(name, OK, "there, for "+ports[port], "")
			}
		}
	}
}

// serialGroup may use serial ports on Debian; the daemon's user is in it.
const serialGroup = "dialout"

// portHint is the cure for a port that may not be used.
func portHint(port string) string {
	info, err := os.Stat(port)
	if err == nil && info.Mode().Perm()&0o060 == 0o060 {
		if g, err := user.LookupGroupId(strconv.Itoa(int(info.Sys().(*syscall.Stat_t).Gid))); err == nil && g.Name == serialGroup {
			return "adduser edgeshadow " + serialGroup + ", then systemctl restart edgeshadow"
		}
	}
	return "chgrp " + serialGroup + " " + port + " && chmod 660 " + port + "; for good with a rule in /etc/udev/rules.d: " +
		`SUBSYSTEM=="tty", GROUP="` + serialGroup + `", MODE="0660"`
}

// may asks the permission bits whether the daemon's user has the modes on a
// file: the doctor itself is often root.
func (d *Doctor) may(path string, modes uint32) error {
	who, groups := "this user", []string(nil)
	uid, err := "", error(nil)
	if d.User != "" {
		u, err := user.Lookup(d.User)
		if err != nil {
			return unixAccess(path, modes) // no package is installed: who asks will run it
		}
		who, uid = "user "+d.User, u.Uid
		if groups, err = u.GroupIds(); err != nil {
			return err
		}
	}
	if uid == "" {
		return unixAccess(path, modes)
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	st := info.Sys().(*syscall.Stat_t)
	bits := uint32(info.Mode().Perm())
	switch {
	case strconv.Itoa(int(st.Uid)) == uid:
		bits >>= 6
	case slices.Contains(groups, strconv.Itoa(int(st.Gid))):
		bits >>= 3
	}
	if bits&modes != modes {
		return fmt.Errorf("%s may not use %s (%s, owner %d:%d)", who, path, info.Mode(), st.Uid, st.Gid)
	}
	return nil
}

func unixAccess(path string, modes uint32) error {
	if err := unix.Access(path, modes); err != nil {
		return fmt.Errorf("this user may not use %s: %w", path, err)
	}
	return nil
}
