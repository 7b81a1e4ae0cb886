package port

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// ErrNotFound is for a port that is not there now.
var ErrNotFound = errors.New("no such port is plugged in")

// Info is one port of the machine.
type Info struct {
	Path         string `json:"path"`              // /dev/ttyUSB0: moves with the order of plugging
	ByID         string `json:"by_id,omitempty"`   // /dev/serial/by-id/…: follows the device
	ByPath       string `json:"by_path,omitempty"` // /dev/serial/by-path/…: follows the socket
	USB          string `json:"usb,omitempty"`     // usb:0403:6001:A50285BI, as Resolve takes it
	Manufacturer string `json:"manufacturer,omitempty"`
	Product      string `json:"product,omitempty"`
	Driver       string `json:"driver,omitempty"`
}

// Stable is the name under which the port is found again after it moved.
func (i Info) Stable() string { return cmp.Or(i.ByID, i.ByPath, i.USB) }

// Machine is where ports are looked for.
type Machine struct {
	Root string // "" means /
}

func (m Machine) path(elem ...string) string {
	return filepath.Join("/", m.Root, filepath.Join(elem...))
}

// List are the ports of this machine.
func List() ([]Info, error) { return Machine{}.List() }

// Resolve is Machine.Resolve on this machine.
func Resolve(name string) (string, error) { return Machine{}.Resolve(name) }

// List are the ports that have hardware behind them, by path.
func (m Machine) List() ([]Info, error) {
	entries, err := os.ReadDir(m.path("sys/class/tty"))
	if err != nil {
		return nil, fmt.Errorf("list serial ports: %w", err)
	}
	var list []Info
	for _, e := range entries {
		dir := m.path("sys/class/tty", e.Name())
		device, err := filepath.EvalSymlinks(filepath.Join(dir, "device"))
		if err != nil || read(dir, "type") == "0" {
			continue // a console, a pty, or a chip that is not there
		}
		info := Info{Path: m.path("dev", e.Name())}
		if driver, err := os.Readlink(filepath.Join(device, "driver")); err == nil {
			info.Driver = filepath.Base(driver)
		}
		// The USB device is some levels above its interface.
		for up, stop := device, m.path("sys"); len(up) > len(stop); up = filepath.Dir(up) {
			if vendor := read(up, "idVendor"); vendor != "" {
				info.USB = strings.TrimSuffix("usb:"+vendor+":"+read(up, "idProduct")+":"+read(up, "serial"), ":")
				info.Manufacturer, info.Product = read(up, "manufacturer"), read(up, "product")
				break
			}
		}
		list = append(list, info)
	}
	m.link(list, "by-id", func(i *Info) *string { return &i.ByID })
	m.link(list, "by-path", func(i *Info) *string { return &i.ByPath })
	slices.SortFunc(list, func(a, b Info) int { return cmp.Or(cmp.Compare(len(a.Path), len(b.Path)), cmp.Compare(a.Path, b.Path)) })
	return list, nil
}

// link notes the links that udev made of the ports of a list.
func (m Machine) link(list []Info, kind string, field func(*Info) *string) {
	entries, _ := os.ReadDir(m.path("dev/serial", kind)) // no directory, no links
	for _, e := range entries {
		link := m.path("dev/serial", kind, e.Name())
		target, err := filepath.EvalSymlinks(link)
		if err != nil {
			continue
		}
		for i := range list {
			if f := field(&list[i]); list[i].Path == target && *f == "" {
				*f = link
			}
		}
	}
}

func read(dir, name string) string {
	data, _ := os.ReadFile(filepath.Join(dir, name)) // what is not there is empty
	return strings.TrimSpace(string(data))
}

// ValidName says what is wrong with the name of a port, whether it is there or not.
func ValidName(name string) error {
	if filepath.IsAbs(name) {
		return nil
	}
	id, ok := strings.CutPrefix(name, "usb:")
	parts := strings.SplitN(id, ":", 3)
	if !ok || len(parts) < 2 || !hex4(parts[0]) || !hex4(parts[1]) {
		return fmt.Errorf("%q is no port; write its path (/dev/serial/by-id/…, see edgeshadow ports) or usb:VID:PID[:SERIAL]", name)
	}
	return nil
}

func hex4(s string) bool {
	return len(s) == 4 && strings.Trim(strings.ToLower(s), "0123456789abcdef") == ""
}

// Resolve is the path of a port: a path stays as it is, usb:vid:pid[:serial] is
// looked for among what is plugged in.
func (m Machine) Resolve(name string) (string, error) {
	if err := ValidName(name); err != nil {
		return "", err
	}
	if filepath.IsAbs(name) {
		return name, nil
	}
	list, err := m.List()
	if err != nil {
		return "", err
	}
	var found []Info
	for _, i := range list {
		if have := i.USB; strings.EqualFold(have, name) || len(have) > len(name) && strings.EqualFold(have[:len(name)+1], name+":") {
			found = append(found, i)
		}
	}
	switch len(found) {
	case 0:
		return "", fmt.Errorf("%s: %w", name, ErrNotFound)
	case 1:
		return found[0].Path, nil
	}
	var names []string
	for _, i := range found {
		names = append(names, cmp.Or(i.ByPath, i.USB))
	}
	return "", fmt.Errorf("%s is not one port but %d: write one of %s", name, len(found), strings.Join(names, " "))
}

// Unstable is a better name for a port whose name moves with the order of
// plugging; "" when there is none.
func (m Machine) Unstable(name string) string {
	base := filepath.Base(name)
	if filepath.Dir(name) != m.path("dev") || !strings.HasPrefix(base, "ttyUSB") && !strings.HasPrefix(base, "ttyACM") {
		return ""
	}
	list, _ := m.List()
	for _, i := range list {
		if i.Path == name {
			return i.Stable()
		}
	}
	return ""
}
