package bletest

import (
	"fmt"
	"maps"

	"github.com/godbus/dbus/v5"
)

// Peripheral is a device that can be connected to.
type Peripheral struct {
	b   *BlueZ
	mac string

	// What follows is guarded by b.mu.
	chars     map[string][]byte // by UUID: what they hold
	readOnly  map[string]bool
	paths     map[string]dbus.ObjectPath
	connected bool
	notifying map[string]bool
	refuse    int // how many connections still fail
	writes    int
}

const peripheralService = "0000181a-0000-1000-8000-00805f9b34fb"

// MustPeripheral is a peripheral with characteristics, by UUID.
func (b *BlueZ) MustPeripheral(mac string, chars map[string][]byte) *Peripheral {
	p := &Peripheral{b: b, mac: mac, chars: maps.Clone(chars), readOnly: map[string]bool{}, paths: map[string]dbus.ObjectPath{}}
	b.mu.Lock()
	b.peripherals[mac] = p
	for uuid := range chars {
		p.paths[uuid] = pathOf(mac) + "/service0010/char" + dbus.ObjectPath(fmt.Sprintf("%04d", len(p.paths)))
	}
	b.mu.Unlock()
	p.Export()
	return p
}

// Export makes the peripheral known to a daemon that was started again.
func (p *Peripheral) Export() {
	p.b.mu.Lock()
	conn := p.b.conn
	p.b.mu.Unlock()
	export := func(methods map[string]any, at dbus.ObjectPath, iface string) {
		if err := conn.ExportMethodTable(methods, at, iface); err != nil {
			p.b.tb.Fatal(err)
		}
	}
	export(map[string]any{"Connect": p.connect, "Disconnect": p.disconnect}, pathOf(p.mac), device)
	export(map[string]any{"Get": p.get}, pathOf(p.mac), props)
	for uuid, at := range p.paths {
		export(map[string]any{
			"ReadValue":   func(values) ([]byte, *dbus.Error) { return p.read(uuid) },
			"WriteValue":  func(raw []byte, _ values) *dbus.Error { return p.write(uuid, raw) },
			"StartNotify": func() *dbus.Error { return p.startNotify(uuid) },
		}, at, char)
	}
}

// Refuse makes the next n connections fail.
func (p *Peripheral) Refuse(n int) { p.turn(func() { p.refuse = n }) }

// ReadOnly makes a characteristic refuse writes.
func (p *Peripheral) ReadOnly(uuid string) { p.turn(func() { p.readOnly[uuid] = true }) }

// Hold has a characteristic hold something else.
func (p *Peripheral) Hold(uuid string, raw []byte) { p.turn(func() { p.chars[uuid] = raw }) }

// Held is what a characteristic holds, and Writes how often any was written.
func (p *Peripheral) Held(uuid string) (raw []byte) {
	p.turn(func() { raw = p.chars[uuid] })
	return raw
}

// Writes is how often a characteristic was written.
func (p *Peripheral) Writes() (n int) {
	p.turn(func() { n = p.writes })
	return n
}

// Notify has a characteristic change; who asked for it is told, and told says
// whether somebody did.
func (p *Peripheral) Notify(uuid string, raw []byte) (told bool) {
	p.b.mu.Lock()
	p.chars[uuid] = raw
	told = p.connected && p.notifying[uuid]
	conn, at := p.b.conn, p.paths[uuid]
	p.b.mu.Unlock()
	if told {
		p.b.emit(conn, at, props+".PropertiesChanged", char, values{"Value": dbus.MakeVariant(raw)}, []string{})
	}
	return told
}

// Drop breaks the connection, as walking away does.
func (p *Peripheral) Drop() {
	p.turn(func() { p.connected, p.notifying = false, nil })
	p.state(false)
}

func (p *Peripheral) turn(change func()) {
	p.b.mu.Lock()
	defer p.b.mu.Unlock()
	change()
}

func (p *Peripheral) state(connected bool) {
	p.b.mu.Lock()
	conn := p.b.conn
	p.b.mu.Unlock()
	p.b.emit(conn, pathOf(p.mac), props+".PropertiesChanged", device,
		values{"Connected": dbus.MakeVariant(connected), "ServicesResolved": dbus.MakeVariant(connected)}, []string{})
}

func (p *Peripheral) connect() *dbus.Error {
	p.b.mu.Lock()
	p.b.called("Connect")
	if p.refuse > 0 {
		p.refuse--
		p.b.mu.Unlock()
		return dbus.NewError("org.bluez.Error.Failed", []any{"le-connection-abort-by-local"})
	}
	p.connected, p.notifying = true, map[string]bool{}
	p.b.mu.Unlock()
	go p.state(true) // the services are told after the answer
	return nil
}

func (p *Peripheral) disconnect() *dbus.Error {
	p.turn(func() { p.connected = false; p.b.called("Disconnect") })
	return nil
}

func (p *Peripheral) get(_, _ string) (v dbus.Variant, err *dbus.Error) {
	p.turn(func() { v = dbus.MakeVariant(false) })
	return v, nil
}

var (
	notConnected = dbus.NewError("org.bluez.Error.Failed", []any{"Not connected"})
	notPermitted = dbus.NewError("org.bluez.Error.NotPermitted", []any{"Write not permitted"})
)

func (p *Peripheral) read(uuid string) (raw []byte, err *dbus.Error) {
	p.b.mu.Lock()
	defer p.b.mu.Unlock()
	if !p.connected {
		return nil, notConnected
	}
	p.b.called("ReadValue")
	return p.chars[uuid], nil
}

func (p *Peripheral) write(uuid string, raw []byte) *dbus.Error {
	p.b.mu.Lock()
	defer p.b.mu.Unlock()
	switch {
	case !p.connected:
		return notConnected
	case p.readOnly[uuid]:
		return notPermitted
	}
	p.writes++
	p.chars[uuid] = raw
	return nil
}

func (p *Peripheral) startNotify(uuid string) *dbus.Error {
	p.b.mu.Lock()
	defer p.b.mu.Unlock()
	if !p.connected {
		return notConnected
	}
	p.notifying[uuid] = true
	p.b.called("StartNotify")
	return nil
}

// objects adds what the daemon knows of a peripheral that is connected.
func (p *Peripheral) objects(out map[dbus.ObjectPath]map[string]values) {
	if !p.connected {
		return
	}
	at := pathOf(p.mac) + "/service0010"
	out[at] = map[string]values{service: {"UUID": dbus.MakeVariant(peripheralService)}}
	for uuid, path := range p.paths {
		out[path] = map[string]values{char: {"UUID": dbus.MakeVariant(uuid), "Service": dbus.MakeVariant(at)}}
	}
}
