package ble

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/godbus/dbus/v5"

	"edgeshadow/adapters"
	"edgeshadow/adapters/ble/advert"
)

var (
	errNoBus   = errors.New("no connection to bluetoothd")
	errStopped = errors.New("the connection to the D-Bus ended")
)

// Driver is the driver of all Bluetooth adapters: adapters.Driver.
type Driver struct {
	// Patience is how long an adapter may hear nothing before something is
	// done about it; 0 means 2 minutes. Set it before Run.
	Patience time.Duration

	log  *slog.Logger
	seen seen

	mu      sync.Mutex
	devices map[advert.MAC]*device
	radios  map[dbus.ObjectPath]*radio
	gone    map[string]adapters.Radio // what was counted of radios that are gone
	conn    *dbus.Conn                // nil: there is none
	err     string                    // why there is none, or no bluetoothd
	frames  uint64
	dropped uint64
	busy    time.Time // since when it is at something; zero: it waits
}

// New is the driver of the things that are Bluetooth devices; their sections are
// valid. Its error is a bindkey that can't be read. A nil log discards.
func New(things map[string]Thing, log *slog.Logger) (*Driver, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	d := &Driver{log: log, radios: map[dbus.ObjectPath]*radio{}, gone: map[string]adapters.Radio{}}
	commit, _, err := d.Prepare(things)
	if err != nil {
		return nil, err
	}
	commit()
	return d, nil
}

// Prepare makes the driver ready for other things. Adapters go on listening, and
// a device that did not change is not touched.
func (d *Driver) Prepare(things map[string]Thing) (commit, discard func(), err error) {
	next := map[advert.MAC]*device{}
	for _, name := range slices.Sorted(maps.Keys(things)) {
		dev, err := newDevice(name, things[name])
		if err != nil {
			return nil, nil, fmt.Errorf("thing %s: %w", name, err)
		}
		next[dev.mac] = dev
	}
	return func() { d.adopt(next) }, func() {}, nil
}

// adopt takes on other devices. One that is configured as before stays the one
// that it is.
func (d *Driver) adopt(next map[advert.MAC]*device) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for mac, old := range d.devices {
		if dev := next[mac]; dev != nil && dev.cfg.same(old.cfg) {
			next[mac] = old
		} else if old.gatt != nil {
			old.gatt.end()
		}
	}
	d.devices = next
	for _, r := range d.radios {
		if r.state() == statePassive {
			r.stopped() // there may be more to listen for
		}
	}
}

// newMonitor is the monitor for the devices that there are.
func (d *Driver) newMonitor() *monitor {
	d.mu.Lock()
	defer d.mu.Unlock()
	return newMonitor(d.devices)
}

// Run listens until ctx ends. A bus that is not there, or goes, is told once and
// tried again: Run does not fail.
func (d *Driver) Run(ctx context.Context, emit func(...adapters.Reading)) error {
	again := &backoff.ExponentialBackOff{InitialInterval: 500 * time.Millisecond, MaxInterval: 30 * time.Second, Multiplier: 2, RandomizationFactor: 0.3}
	again.Reset()
	for ctx.Err() == nil {
		began := time.Now()
		if err := d.Listen(ctx, emit); err != nil {
			d.fail(err)
		}
		d.turn(time.Time{})
		if time.Since(began) > time.Minute {
			again.Reset()
		}
		rest(ctx, nil, again.NextBackOff())
	}
	return nil
}

// Listen listens over one connection to the bus: until ctx ends, or the bus is
// gone, which is an error.
func (d *Driver) Listen(ctx context.Context, emit func(...adapters.Reading)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s := newSignals()
	d.turn(time.Now())
	conn, err := dbus.ConnectSystemBus(dbus.WithSignalHandler(s))
	if err != nil {
		return fmt.Errorf("connect to the D-Bus of the system: %w", err)
	}
	var wg sync.WaitGroup
	defer func() {
		// Devices are let go before the connection closes; a discovery ends with it.
		cancel()
		d.lose()
		d.mu.Lock()
		d.conn = nil
		d.mu.Unlock()
		wg.Wait()
		_ = conn.Close()
	}()
	if err := watch(conn); err != nil {
		return fmt.Errorf("watch bluetoothd: %w", err)
	}
	d.mu.Lock()
	d.conn = conn
	d.mu.Unlock()
	run := &run{Driver: d, ctx: ctx, conn: conn, emit: emit, wg: &wg}
	run.enumerate()
	for {
		// What comes and goes goes before what is said.
		select {
		case sig := <-s.control:
			d.turn(time.Now())
			run.control(sig)
			continue
		default:
		}
		d.turn(time.Time{})
		select {
		case <-ctx.Done():
			return nil
		case <-conn.Context().Done():
			return errStopped
		case sig := <-s.control:
			d.turn(time.Now())
			run.control(sig)
		case sig := <-s.adverts:
			d.turn(time.Now())
			run.advert(sig)
		}
		if s.lost.Swap(false) {
			return errors.New("more came from bluetoothd than could be taken; all is set up again")
		}
		d.mu.Lock()
		d.dropped = s.dropped.Load()
		d.mu.Unlock()
	}
}

// run is one connection to the bus.
type run struct {
	*Driver
	ctx  context.Context
	conn *dbus.Conn
	emit func(...adapters.Reading)
	wg   *sync.WaitGroup
}

// enumerate takes what BlueZ has. When it does not run, its coming is waited for.
func (r *run) enumerate() {
	ctx, cancel := context.WithTimeout(r.ctx, callTimeout)
	defer cancel()
	var have objects
	if err := r.conn.Object(bluez, "/").CallWithContext(ctx, objectManager+".GetManagedObjects", 0).Store(&have); err != nil {
		r.fail(err)
		return
	}
	r.mu.Lock()
	told := r.err
	r.err = ""
	r.mu.Unlock()
	if told != "" {
		r.log.Info("Bluetooth is back")
	}
	for _, p := range slices.Sorted(maps.Keys(have)) {
		r.added(p, have[p])
	}
}

// control takes a signal that is no advertisement.
func (r *run) control(sig *dbus.Signal) {
	switch sig.Name {
	case nameOwnerChanged:
		if len(sig.Body) < 3 {
			return
		}
		if owner, _ := sig.Body[2].(string); owner == "" {
			r.fail(errors.New("bluetoothd is gone; it is waited for"))
			r.lose()
		} else {
			r.lose()
			r.enumerate()
		}
	case interfacesAdded:
		if len(sig.Body) < 2 {
			return
		}
		p, _ := sig.Body[0].(dbus.ObjectPath)
		have, _ := sig.Body[1].(map[string]values)
		r.added(p, have)
	case interfacesRemoved:
		if len(sig.Body) < 2 {
			return
		}
		p, _ := sig.Body[0].(dbus.ObjectPath)
		gone, _ := sig.Body[1].([]string)
		r.removed(p, gone)
	case propertiesChanged:
		r.changed(sig)
	}
}

// added takes an object that came: an adapter, or a device that is heard for
// the first time.
func (r *run) added(p dbus.ObjectPath, have map[string]values) {
	if props, is := have[adapterIface]; is {
		r.listen(p, props, have[monitorManager])
	}
	if props, is := have[deviceIface]; is {
		// Of a device without a strength BlueZ only remembers what it once said.
		if _, now := props["RSSI"]; now {
			r.hear(p, props)
		}
		r.located(p)
	}
}

// listen begins to listen with an adapter.
func (r *run) listen(p dbus.ObjectPath, props, manager values) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.radios[p] != nil {
		return
	}
	patience := r.Patience
	if patience == 0 {
		patience = defaultPatience
	}
	address, _ := props["Address"].Value().(string)
	radio := newRadio(p, address, r.conn, patience, r.log)
	radio.inherit(r.gone[radio.stats.Name])
	if offersPassive(manager) {
		radio.monitor = r.newMonitor
	}
	ctx, cancel := context.WithCancel(r.ctx)
	radio.cancel = cancel
	r.radios[p] = radio
	r.wg.Go(func() { radio.keep(ctx) })
}

func (r *run) removed(p dbus.ObjectPath, gone []string) {
	if slices.Contains(gone, adapterIface) {
		r.mu.Lock()
		if radio := r.radios[p]; radio != nil {
			radio.cancel()
			r.gone[radio.stats.Name] = radio.snapshot(time.Now())
			delete(r.radios, p)
		}
		r.mu.Unlock()
	}
	if mac, is := macOf(p); is && slices.Contains(gone, deviceIface) {
		r.device(mac).gattGone(p)
	}
}

// changed takes properties that changed and are no advertisement.
func (r *run) changed(sig *dbus.Signal) {
	if len(sig.Body) < 2 {
		return
	}
	iface, _ := sig.Body[0].(string)
	props, _ := sig.Body[1].(values)
	switch iface {
	case adapterIface:
		r.mu.Lock()
		radio := r.radios[sig.Path]
		r.mu.Unlock()
		discovering, has := props["Discovering"].Value().(bool)
		powered, hasPower := props["Powered"].Value().(bool)
		switch {
		case radio == nil:
		case hasPower && !powered, has && !discovering && radio.state() != statePassive:
			radio.stopped()
		}
	case deviceIface:
		if mac, is := macOf(sig.Path); is {
			r.device(mac).gattState(props)
		}
		r.hear(sig.Path, props)
	case charIface:
		if mac, is := macOf(sig.Path); is {
			if raw, has := props["Value"].Value().([]byte); has {
				r.device(mac).gattValue(sig.Path, raw)
			}
		}
	}
}

// advert takes an advertisement of a device that was heard before.
func (r *run) advert(sig *dbus.Signal) {
	props, _ := sig.Body[1].(values)
	r.hear(sig.Path, props)
	r.located(sig.Path)
}

// hear takes what a device broadcast.
func (r *run) hear(p dbus.ObjectPath, props values) {
	mac, is := macOf(p)
	if !is {
		return
	}
	h, is := hear(mac, props)
	if !is {
		return
	}
	now := time.Now()
	r.mu.Lock()
	radio, dev := r.radios[adapterOf(p)], r.devices[mac]
	r.mu.Unlock()
	if radio == nil {
		return
	}
	radio.heard(now)
	r.seen.add(now, radio.stats.Name, h)
	if dev == nil {
		return
	}
	readings, why := dev.take(now, h)
	r.emit(readings...)
	if dev.puzzle(why) && why != nil {
		r.log.Warn("the device is not understood", "thing", dev.name, "err", why)
	}
	r.mu.Lock()
	if len(readings) > 0 {
		r.frames++
	}
	r.mu.Unlock()
}

// device is the thing with an address; its methods for connections take nil.
func (d *Driver) device(mac advert.MAC) *device {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.devices[mac]
}

// located tells a device that is connected to where it is.
func (r *run) located(p dbus.ObjectPath) {
	if mac, is := macOf(p); is {
		r.device(mac).gattAt(r, p)
	}
}

// lose forgets all that BlueZ had.
func (d *Driver) lose() {
	d.mu.Lock()
	radios, devices := d.radios, d.devices
	d.radios = map[dbus.ObjectPath]*radio{}
	for _, r := range radios {
		r.cancel()
		r.note(func(s *adapters.Radio) { s.Lost++ })
		d.gone[r.stats.Name] = r.snapshot(time.Now())
	}
	d.mu.Unlock()
	for _, dev := range devices {
		dev.gattGone("")
	}
}

// fail notes why nothing is heard; it is told once.
func (d *Driver) fail(err error) {
	text := explain(err)
	d.mu.Lock()
	told := d.err == text
	d.err = text
	d.mu.Unlock()
	if !told {
		d.log.Warn("no Bluetooth", "err", text)
	}
}
