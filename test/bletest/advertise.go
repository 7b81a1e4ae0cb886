package bletest

import (
	"strings"

	"github.com/godbus/dbus/v5"
)

// Advert is one advertisement.
type Advert struct {
	MAC          string // A4:C1:38:11:22:33
	Name         string
	RSSI         int16
	Services     map[string][]byte // service data by UUID
	Manufacturer map[uint16][]byte
}

// pathOf is where the daemon has a device.
func pathOf(mac string) dbus.ObjectPath {
	return hci0 + "/dev_" + dbus.ObjectPath(strings.ReplaceAll(mac, ":", "_"))
}

func (a Advert) props() values {
	v := values{"RSSI": dbus.MakeVariant(a.RSSI)}
	if a.Services != nil {
		data := values{}
		for uuid, raw := range a.Services {
			data[uuid] = dbus.MakeVariant(raw)
		}
		v["ServiceData"] = dbus.MakeVariant(data)
	}
	if a.Manufacturer != nil {
		data := map[uint16]dbus.Variant{}
		for company, raw := range a.Manufacturer {
			data[company] = dbus.MakeVariant(raw)
		}
		v["ManufacturerData"] = dbus.MakeVariant(data)
	}
	if a.Name != "" {
		v["Name"] = dbus.MakeVariant(a.Name)
	}
	return v
}

// Advertise broadcasts; heard says whether the adapter listened.
func (b *BlueZ) Advertise(a Advert) (heard bool) {
	b.mu.Lock()
	conn, at := b.conn, pathOf(a.MAC)
	if !b.listening() {
		b.mu.Unlock()
		return false
	}
	v := a.props()
	_, known := b.known[at]
	if !known && !b.knobs.Forgetful {
		b.known[at] = values{"Address": dbus.MakeVariant(a.MAC), "Adapter": dbus.MakeVariant(hci0)}
	}
	if b.known[at] != nil {
		for name, value := range v {
			b.known[at][name] = value
		}
	}
	b.mu.Unlock()
	if known {
		b.emit(conn, at, props+".PropertiesChanged", device, v, []string{})
	} else {
		v["Address"] = dbus.MakeVariant(a.MAC)
		b.emit(conn, "/", objectMgr+".InterfacesAdded", at, map[string]values{device: v})
	}
	return true
}

// Remember has the daemon know a device from before, which is not heard.
func (b *BlueZ) Remember(a Advert) {
	b.mu.Lock()
	defer b.mu.Unlock()
	v := a.props()
	delete(v, "RSSI")
	v["Address"] = dbus.MakeVariant(a.MAC)
	b.known[pathOf(a.MAC)] = v
}

// Forget has the daemon forget a device that was not heard for long.
func (b *BlueZ) Forget(mac string) {
	b.mu.Lock()
	at, conn := pathOf(mac), b.conn
	delete(b.known, at)
	b.mu.Unlock()
	b.emit(conn, "/", objectMgr+".InterfacesRemoved", at, []string{device})
}
