package ble

import (
	"context"
	"errors"
	"path"
	"slices"
	"time"

	"github.com/godbus/dbus/v5"

	"edgeshadow/adapters/ble/advert"
)

// activation is how long bluetoothd may take to begin to listen.
const activation = 5 * time.Second

var errNotActivated = errors.New("bluetoothd did not begin to listen passively")

// monitor has an adapter listen without asking: sensors are not made to answer,
// which saves their batteries, and the adapter's time. It is an object of ours
// that bluetoothd calls (org.bluez.AdvertisementMonitor1).
type monitor struct {
	patterns  []pattern
	activated chan struct{}
	released  func()
}

// pattern is how a field of advertising data begins, as BlueZ takes it.
type pattern struct {
	At      byte
	Type    byte
	Content []byte
}

// newMonitor is the monitor for what devices broadcast; nil when listening alone
// is not enough: there are none, or one is connected to, which wants a
// discovery, or one is told by more bytes than a pattern holds.
func newMonitor(devices map[advert.MAC]*device) *monitor {
	m := &monitor{activated: make(chan struct{}, 1)}
	for _, p := range advert.Passive() {
		m.patterns = append(m.patterns, pattern{0, p.Type, p.Start})
	}
	for _, dev := range devices {
		if dev.gatt != nil {
			return nil
		}
		for _, r := range dev.rules {
			p := pattern{0, advert.ManufacturerData, []byte{byte(r.company), byte(r.company >> 8)}}
			if r.service != "" {
				short, ok := advert.Short(r.service)
				if !ok {
					return nil
				}
				p = pattern{0, advert.ServiceData, []byte{byte(short), byte(short >> 8)}}
			}
			m.patterns = append(m.patterns, p)
		}
	}
	if len(devices) == 0 {
		return nil
	}
	return m
}

// offersPassive says whether an adapter can listen for patterns.
func offersPassive(manager values) bool {
	kinds, _ := manager["SupportedMonitorTypes"].Value().([]string)
	return slices.Contains(kinds, "or_patterns")
}

func appOf(r *radio) dbus.ObjectPath {
	return dbus.ObjectPath("/edgeshadow/" + path.Base(string(r.path)))
}

// register shows the monitor to bluetoothd and waits until it is used.
func (m *monitor) register(ctx context.Context, r *radio) error {
	app := appOf(r)
	at := app + "/monitor"
	m.released = r.stopped
	tree := objects{at: {monitorIface: {
		"Type": dbus.MakeVariant("or_patterns"), "Patterns": dbus.MakeVariant(m.patterns),
	}}}
	if err := errors.Join(
		r.conn.ExportMethodTable(map[string]any{
			"GetManagedObjects": func() (objects, *dbus.Error) { return tree, nil },
		}, app, objectManager),
		r.conn.ExportMethodTable(map[string]any{
			"Activate":    func() *dbus.Error { nudge(m.activated); return nil },
			"Release":     func() *dbus.Error { m.released(); return nil },
			"DeviceFound": func(dbus.ObjectPath) *dbus.Error { return nil },
			"DeviceLost":  func(dbus.ObjectPath) *dbus.Error { return nil },
		}, at, monitorIface),
		r.conn.ExportMethodTable(map[string]any{
			"GetAll": func(string) (values, *dbus.Error) { return tree[at][monitorIface], nil },
		}, at, properties),
	); err != nil {
		return err
	}
	if err := r.call(ctx, monitorManager+".RegisterMonitor", app); err != nil && !isError(err, "AlreadyExists") {
		return err
	}
	timer := time.NewTimer(min(activation, r.patience))
	defer timer.Stop()
	select {
	case <-m.activated:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return errNotActivated
	}
}

// unregister takes the monitor back.
func (m *monitor) unregister(ctx context.Context, r *radio) {
	app := appOf(r)
	_ = r.call(ctx, monitorManager+".UnregisterMonitor", app) // it may never have been there
	for _, export := range []struct {
		at    dbus.ObjectPath
		iface string
	}{{app, objectManager}, {app + "/monitor", monitorIface}, {app + "/monitor", properties}} {
		_ = r.conn.Export(nil, export.at, export.iface)
	}
}
