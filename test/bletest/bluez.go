package bletest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"

	"github.com/godbus/dbus/v5"
)

const (
	hci0      = dbus.ObjectPath("/org/bluez/hci0")
	adapter   = "org.bluez.Adapter1"
	device    = "org.bluez.Device1"
	service   = "org.bluez.GattService1"
	char      = "org.bluez.GattCharacteristic1"
	manager   = "org.bluez.AdvertisementMonitorManager1"
	monitor   = "org.bluez.AdvertisementMonitor1"
	objectMgr = "org.freedesktop.DBus.ObjectManager"
	props     = "org.freedesktop.DBus.Properties"
)

type values = map[string]dbus.Variant

// Knobs are the ways in which the daemon misbehaves.
type Knobs struct {
	Passive    bool // it offers to listen passively
	NoActivate bool // and never does
	FilterBusy bool // a filter for discovery is refused: in progress
	Blocked    bool // the adapter can't be switched on
	Denied     bool // the caller may not use it
	Forgetful  bool // each advertisement is that of a device that was never heard
	// Deaf says that nothing is heard until discovery has begun so many times
	// more, and DeafUntilPower that not before the adapter is switched off and on.
	Deaf           int
	DeafUntilPower bool
}

// BlueZ is bluetoothd with one adapter, hci0.
type BlueZ struct {
	tb  testing.TB
	bus *Bus

	mu          sync.Mutex
	changed     *sync.Cond
	conn        *dbus.Conn // nil: it does not run
	knobs       Knobs
	discovering bool
	powered     bool
	monitored   bool
	calls       map[string]int
	known       map[dbus.ObjectPath]values // devices, with what they said last
	peripherals map[string]*Peripheral     // by address
}

// MustBlueZ starts a bus and bluetoothd on it; both end with the test.
func MustBlueZ(tb testing.TB, knobs Knobs) *BlueZ {
	tb.Helper()
	b := &BlueZ{tb: tb, bus: MustBus(tb), knobs: knobs, calls: map[string]int{}, peripherals: map[string]*Peripheral{}}
	b.changed = sync.NewCond(&b.mu)
	b.Start()
	tb.Cleanup(b.Stop)
	return b
}

// Bus is the bus that it is on.
func (b *BlueZ) Bus() *Bus { return b.bus }

// Turn changes the knobs.
func (b *BlueZ) Turn(change func(k *Knobs)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	change(&b.knobs)
}

// Start starts the daemon. It knows no devices yet.
func (b *BlueZ) Start() {
	b.tb.Helper()
	conn, err := dbus.Connect(b.bus.Address)
	if err != nil {
		b.tb.Fatal(err)
	}
	b.mu.Lock()
	b.conn, b.known, b.discovering, b.powered, b.monitored = conn, map[dbus.ObjectPath]values{}, false, false, false
	for _, p := range b.peripherals {
		p.connected, p.notifying = false, nil
	}
	b.mu.Unlock()
	for _, e := range []struct {
		methods map[string]any
		at      dbus.ObjectPath
		iface   string
	}{
		{map[string]any{"GetManagedObjects": b.managed}, "/", objectMgr},
		{map[string]any{"StartDiscovery": b.startDiscovery, "StopDiscovery": b.stopDiscovery, "SetDiscoveryFilter": b.setFilter}, hci0, adapter},
		{map[string]any{"RegisterMonitor": b.registerMonitor, "UnregisterMonitor": b.unregisterMonitor}, hci0, manager},
		{map[string]any{"Set": b.set}, hci0, props},
	} {
		if err := conn.ExportMethodTable(e.methods, e.at, e.iface); err != nil {
			b.tb.Fatal(err)
		}
	}
	if reply, err := conn.RequestName("org.bluez", dbus.NameFlagDoNotQueue); err != nil || reply != dbus.RequestNameReplyPrimaryOwner {
		b.tb.Fatalf("become org.bluez: %v, %v", reply, err)
	}
}

// Stop ends the daemon, as a crash does.
func (b *BlueZ) Stop() {
	b.mu.Lock()
	conn := b.conn
	b.conn = nil
	b.mu.Unlock()
	if conn != nil {
		_ = conn.Close() // the bus may be gone
	}
}

// called counts a call; b.mu is held.
func (b *BlueZ) called(name string) {
	b.calls[name]++
	b.changed.Broadcast()
}

// AwaitCalls waits until a method was called so often in all.
func (b *BlueZ) AwaitCalls(ctx context.Context, name string, n int) error {
	return b.await(ctx, func() bool { return b.calls[name] >= n }, "%s called %d times", name, n)
}

// AwaitListening waits until the adapter listens.
func (b *BlueZ) AwaitListening(ctx context.Context) error {
	return b.await(ctx, func() bool { return b.listening() }, "an adapter that listens")
}

func (b *BlueZ) await(ctx context.Context, done func() bool, what string, args ...any) error {
	stop := context.AfterFunc(ctx, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.changed.Broadcast()
	})
	defer stop()
	b.mu.Lock()
	defer b.mu.Unlock()
	for !done() {
		if ctx.Err() != nil {
			return fmt.Errorf("await %s, have calls %v: %w", fmt.Sprintf(what, args...), b.calls, ctx.Err())
		}
		b.changed.Wait()
	}
	return nil
}

// listening says whether what is broadcast is heard. b.mu is held.
func (b *BlueZ) listening() bool {
	return b.conn != nil && b.powered && (b.discovering || b.monitored) && b.knobs.Deaf == 0 && !b.knobs.DeafUntilPower
}

// Calls is how often a method was called.
func (b *BlueZ) Calls(name string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.calls[name]
}

func (b *BlueZ) managed() (map[dbus.ObjectPath]map[string]values, *dbus.Error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := map[dbus.ObjectPath]map[string]values{
		"/org/bluez": {"org.bluez.AgentManager1": {}},
		hci0: {adapter: {
			"Address": dbus.MakeVariant("00:1A:7D:DA:71:13"), "Powered": dbus.MakeVariant(b.powered), "Discovering": dbus.MakeVariant(b.discovering),
		}},
	}
	if b.knobs.Passive {
		out[hci0][manager] = values{"SupportedMonitorTypes": dbus.MakeVariant([]string{"or_patterns"})}
	}
	for at, said := range b.known {
		out[at] = map[string]values{device: maps.Clone(said)}
	}
	for _, p := range b.peripherals {
		p.objects(out)
	}
	return out, nil
}

func (b *BlueZ) setFilter(filter values) *dbus.Error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.called("SetDiscoveryFilter")
	if b.knobs.FilterBusy {
		return dbus.NewError("org.bluez.Error.InProgress", []any{"Operation already in progress"})
	}
	if transport, _ := filter["Transport"].Value().(string); transport != "le" {
		return dbus.NewError("org.bluez.Error.InvalidArguments", []any{"want transport le"})
	}
	return nil
}

func (b *BlueZ) startDiscovery() *dbus.Error {
	b.mu.Lock()
	defer b.mu.Unlock()
	defer b.called("StartDiscovery")
	if !b.powered {
		return dbus.NewError("org.bluez.Error.NotReady", []any{"Resource Not Ready"})
	}
	if b.discovering {
		return dbus.NewError("org.bluez.Error.InProgress", []any{"Operation already in progress"})
	}
	b.discovering = true
	b.knobs.Deaf = max(0, b.knobs.Deaf-1)
	return nil
}

func (b *BlueZ) stopDiscovery() *dbus.Error {
	b.mu.Lock()
	defer b.mu.Unlock()
	defer b.called("StopDiscovery")
	b.discovering = false
	return nil
}

// Interrupt ends the discovery without being asked, as another program's or the
// kernel's doing does.
func (b *BlueZ) Interrupt() {
	b.mu.Lock()
	b.discovering = false
	conn := b.conn
	b.mu.Unlock()
	b.emit(conn, hci0, props+".PropertiesChanged", adapter, values{"Discovering": dbus.MakeVariant(false)}, []string{})
}

func (b *BlueZ) emit(conn *dbus.Conn, at dbus.ObjectPath, name string, args ...any) {
	if conn == nil {
		return
	}
	if err := conn.Emit(at, name, args...); err != nil {
		b.tb.Logf("emit %s: %v", name, err) // the bus was stopped
	}
}

func (b *BlueZ) set(iface, name string, value dbus.Variant) *dbus.Error {
	b.mu.Lock()
	defer b.mu.Unlock()
	on, is := value.Value().(bool)
	if iface != adapter || name != "Powered" || !is {
		return dbus.NewError("org.bluez.Error.InvalidArguments", []any{"only Powered can be set"})
	}
	if b.knobs.Denied {
		return dbus.NewError("org.freedesktop.DBus.Error.AccessDenied", []any{"Rejected send message"})
	}
	if on && b.knobs.Blocked {
		return dbus.NewError("org.bluez.Error.Blocked", []any{"Blocked through rfkill"})
	}
	if !on {
		b.discovering, b.knobs.DeafUntilPower = false, false
		b.called("PowerOff")
	}
	b.powered = on
	return nil
}

// registerMonitor reads the patterns as bluetoothd does, and activates them.
func (b *BlueZ) registerMonitor(app dbus.ObjectPath, sender dbus.Sender) *dbus.Error {
	b.mu.Lock()
	b.called("RegisterMonitor")
	conn, activate := b.conn, !b.knobs.NoActivate
	b.mu.Unlock()
	go func() {
		var tree map[dbus.ObjectPath]map[string]values
		if err := conn.Object(string(sender), app).Call(objectMgr+".GetManagedObjects", 0).Store(&tree); err != nil {
			b.tb.Errorf("the monitor's objects: %v", err)
			return
		}
		for at, ifaces := range tree {
			kind, _ := ifaces[monitor]["Type"].Value().(string)
			var patterns []struct {
				At, Type byte
				Content  []byte
			}
			if err := dbus.Store([]any{ifaces[monitor]["Patterns"].Value()}, &patterns); err != nil || kind != "or_patterns" || len(patterns) == 0 {
				b.tb.Errorf("monitor of type %q with patterns %v: %v", kind, ifaces[monitor]["Patterns"], err)
				return
			}
			if !activate {
				return
			}
			b.mu.Lock()
			b.monitored = true
			b.changed.Broadcast()
			b.mu.Unlock()
			_ = conn.Object(string(sender), at).Call(monitor+".Activate", 0).Err
		}
	}()
	return nil
}

func (b *BlueZ) unregisterMonitor(dbus.ObjectPath) *dbus.Error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.monitored = false
	b.called("UnregisterMonitor")
	return nil
}

// Devices are the addresses of what the daemon knows.
func (b *BlueZ) Devices() []dbus.ObjectPath {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Sorted(maps.Keys(b.known))
}
