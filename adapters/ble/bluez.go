package ble

import (
	"errors"
	"strings"
	"sync/atomic"

	"github.com/godbus/dbus/v5"

	"edgeshadow/adapters/ble/advert"
)

// The names of BlueZ on the bus (bluez, doc/org.bluez.*.rst).
const (
	bluez          = "org.bluez"
	adapterIface   = "org.bluez.Adapter1"
	deviceIface    = "org.bluez.Device1"
	charIface      = "org.bluez.GattCharacteristic1"
	serviceIface   = "org.bluez.GattService1"
	monitorManager = "org.bluez.AdvertisementMonitorManager1"
	monitorIface   = "org.bluez.AdvertisementMonitor1"
	objectManager  = "org.freedesktop.DBus.ObjectManager"
	properties     = "org.freedesktop.DBus.Properties"
	root           = dbus.ObjectPath("/org/bluez")

	interfacesAdded   = objectManager + ".InterfacesAdded"
	interfacesRemoved = objectManager + ".InterfacesRemoved"
	propertiesChanged = properties + ".PropertiesChanged"
	nameOwnerChanged  = "org.freedesktop.DBus.NameOwnerChanged"
)

// values are the properties of an interface.
type values = map[string]dbus.Variant

// objects are what BlueZ has, by path and interface.
type objects = map[dbus.ObjectPath]map[string]values

const (
	// maxAdverts is how many advertisements wait; what is beyond is dropped and
	// counted: devices say it again.
	maxAdverts = 4096
	// maxControl is how many other signals wait; none of them may be lost.
	maxControl = 4096
)

// signals is the handler of a connection's signals. It does not block: the
// answers to calls come behind them.
type signals struct {
	adverts, control chan *dbus.Signal
	dropped          atomic.Uint64
	lost             atomic.Bool // a control signal was dropped
}

func newSignals() *signals {
	return &signals{adverts: make(chan *dbus.Signal, maxAdverts), control: make(chan *dbus.Signal, maxControl)}
}

// DeliverSignal is dbus.SignalHandler.
func (s *signals) DeliverSignal(_, _ string, signal *dbus.Signal) {
	if signal.Name == propertiesChanged && len(signal.Body) > 1 && signal.Body[0] == deviceIface {
		if changed, ok := signal.Body[1].(values); ok && !isState(changed) {
			select {
			case s.adverts <- signal:
			default:
				s.dropped.Add(1)
			}
			return
		}
	}
	select {
	case s.control <- signal:
	default:
		s.lost.Store(true)
	}
}

// isState says whether changes of a device are of its connection.
func isState(changed values) bool {
	_, connected := changed["Connected"]
	_, resolved := changed["ServicesResolved"]
	return connected || resolved
}

// watch asks the bus for the signals that matter. These rules are all that there
// ever are: one for each device would leak.
func watch(conn *dbus.Conn) error {
	for _, rule := range [][]dbus.MatchOption{
		{dbus.WithMatchSender(bluez), dbus.WithMatchInterface(objectManager)},
		{dbus.WithMatchSender(bluez), dbus.WithMatchInterface(properties), dbus.WithMatchMember("PropertiesChanged"), dbus.WithMatchPathNamespace(root)},
		{dbus.WithMatchInterface("org.freedesktop.DBus"), dbus.WithMatchMember("NameOwnerChanged"), dbus.WithMatchArg(0, bluez)},
	} {
		if err := conn.AddMatchSignal(rule...); err != nil {
			return err
		}
	}
	return nil
}

// macOf is the address in the path of a device, /org/bluez/hci0/dev_A4_C1_38_11_22_33.
func macOf(path dbus.ObjectPath) (advert.MAC, bool) {
	at := strings.Index(string(path), "/dev_")
	if at < 0 || len(path) < at+5+17 {
		return advert.MAC{}, false
	}
	mac, err := advert.ParseMAC(strings.ReplaceAll(string(path[at+5:at+22]), "_", ":"))
	return mac, err == nil
}

// adapterOf is the path of the adapter that a path is below of, or is.
func adapterOf(path dbus.ObjectPath) dbus.ObjectPath {
	rest, ok := strings.CutPrefix(string(path), string(root)+"/")
	if !ok {
		return ""
	}
	name, _, _ := strings.Cut(rest, "/")
	return root + "/" + dbus.ObjectPath(name)
}

// heard is what an advertisement says, as BlueZ hands it on.
type heard struct {
	advert.Data
	name string
	rssi int16 // 0: not told
}

// hear reads the properties of a device that came or changed; ok is false when
// none of them is of an advertisement. All of it is a stranger's: what has
// another type than it should is left out.
func hear(mac advert.MAC, changed values) (h heard, ok bool) {
	h.MAC = mac
	if v, has := changed["RSSI"].Value().(int16); has && v != 127 {
		h.rssi, ok = v, true
	}
	if data, has := changed["ServiceData"].Value().(map[string]dbus.Variant); has {
		h.Services = map[string][]byte{}
		for uuid, v := range data {
			if raw, is := v.Value().([]byte); is {
				h.Services[strings.ToLower(uuid)], ok = raw, true
			}
		}
	}
	if data, has := changed["ManufacturerData"].Value().(map[uint16]dbus.Variant); has {
		h.Manufacturer = map[uint16][]byte{}
		for company, v := range data {
			if raw, is := v.Value().([]byte); is {
				h.Manufacturer[company], ok = raw, true
			}
		}
	}
	h.name, _ = changed["Name"].Value().(string)
	return h, ok
}

// isError says whether err is BlueZ's or the bus's of one of these names.
func isError(err error, names ...string) bool {
	var e dbus.Error
	if !errors.As(err, &e) {
		return false
	}
	for _, name := range names {
		if e.Name == bluez+".Error."+name || e.Name == "org.freedesktop.DBus.Error."+name {
			return true
		}
	}
	return false
}
