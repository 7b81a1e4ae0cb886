package port_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"edgeshadow/adapters/port"
)

// MustMachine is a machine with two FTDI adapters, one CH340 without a serial
// number, a modem's ACM port and the ports of a board that are not there.
func MustMachine(tb testing.TB) port.Machine {
	tb.Helper()
	root := tb.TempDir()
	write := func(name, text string) {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			tb.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text+"\n"), 0o644); err != nil {
			tb.Fatal(err)
		}
	}
	link := func(target, name string) {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			tb.Fatal(err)
		}
		if err := os.Symlink(filepath.Join(root, target), path); err != nil {
			tb.Fatal(err)
		}
	}
	for _, u := range []struct{ tty, at, vendor, product, serial, maker, name string }{
		{"ttyUSB0", "1-1", "0403", "6001", "A50285BI", "FTDI", "FT232R USB UART"},
		{"ttyUSB1", "1-2", "1a86", "7523", "", "", "USB Serial"},
		{"ttyUSB10", "1-3", "0403", "6001", "A9", "FTDI", "FT232R USB UART"},
	} {
		usb := "sys/devices/usb1/" + u.at
		write(usb+"/idVendor", u.vendor)
		write(usb+"/idProduct", u.product)
		if u.serial != "" {
			write(usb+"/serial", u.serial)
		}
		write(usb+"/manufacturer", u.maker)
		write(usb+"/product", u.name)
		write(usb+"/1.0/"+u.tty+"/uevent", "")
		link("sys/bus/drivers/ftdi_sio", usb+"/1.0/"+u.tty+"/driver")
		link(usb+"/1.0/"+u.tty, "sys/class/tty/"+u.tty+"/device")
		write("dev/"+u.tty, "")
		link("dev/"+u.tty, "dev/serial/by-path/pci-usb-"+u.at)
		if u.serial != "" {
			link("dev/"+u.tty, "dev/serial/by-id/usb-"+u.maker+"_"+u.serial)
		}
	}
	write("sys/devices/platform/serial8250/uevent", "")
	link("sys/devices/platform/serial8250", "sys/class/tty/ttyS0/device")
	write("sys/class/tty/ttyS0/type", "0")
	write("sys/class/tty/tty0/dev", "4:0")
	return port.Machine{Root: root}
}

func TestMachine_List(t *testing.T) {
	m := MustMachine(t)
	list, err := m.List()
	if err != nil {
		t.Fatal(err)
	}
	want := []port.Info{
		{
			Path: m.Root + "/dev/ttyUSB0", ByID: m.Root + "/dev/serial/by-id/usb-FTDI_A50285BI", ByPath: m.Root + "/dev/serial/by-path/pci-usb-1-1",
			USB: "usb:0403:6001:A50285BI", Manufacturer: "FTDI", Product: "FT232R USB UART", Driver: "ftdi_sio",
		},
		{
			Path: m.Root + "/dev/ttyUSB1", ByPath: m.Root + "/dev/serial/by-path/pci-usb-1-2",
			USB: "usb:1a86:7523", Product: "USB Serial", Driver: "ftdi_sio",
		},
		{
			Path: m.Root + "/dev/ttyUSB10", ByID: m.Root + "/dev/serial/by-id/usb-FTDI_A9", ByPath: m.Root + "/dev/serial/by-path/pci-usb-1-3",
			USB: "usb:0403:6001:A9", Manufacturer: "FTDI", Product: "FT232R USB UART", Driver: "ftdi_sio",
		},
	}
	if d := cmp.Diff(want, list); d != "" {
		t.Error("ports (-want +got)", d)
	}
}

// TestL10_PortsMove: a port is found by what it is, and a name that moves is
// told with the one that stays.
func TestL10_PortsMove(t *testing.T) {
	m := MustMachine(t)
	for name, want := range map[string]string{
		"/dev/ttyAMA0": "/dev/ttyAMA0", "usb:1a86:7523": m.Root + "/dev/ttyUSB1",
		"usb:0403:6001:A50285BI": m.Root + "/dev/ttyUSB0", "usb:0403:6001:a9": m.Root + "/dev/ttyUSB10",
	} {
		if got, err := m.Resolve(name); got != want || err != nil {
			t.Errorf("Resolve(%s) = %s, %v; want %s", name, got, err, want)
		}
	}
	if _, err := m.Resolve("usb:0403:6001:A"); !errors.Is(err, port.ErrNotFound) {
		t.Errorf("half a serial number: %v, want %v", err, port.ErrNotFound)
	}
	if _, err := m.Resolve("usb:0403:6001"); err == nil || !strings.Contains(err.Error(), "by-path/pci-usb-1-1 ") {
		t.Errorf("two ports of a kind: %v, want the names that tell them apart", err)
	}
	for name, want := range map[string]string{
		m.Root + "/dev/ttyUSB0": m.Root + "/dev/serial/by-id/usb-FTDI_A50285BI",
		m.Root + "/dev/ttyUSB1": m.Root + "/dev/serial/by-path/pci-usb-1-2",
		m.Root + "/dev/ttyAMA0": "", m.Root + "/dev/serial/by-id/usb-FTDI_A9": "", "usb:1a86:7523": "",
	} {
		if got := m.Unstable(name); got != want {
			t.Errorf("Unstable(%s) = %q, want %q", name, got, want)
		}
	}
}
