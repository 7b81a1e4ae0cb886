package ble

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/godbus/dbus/v5"

	"edgeshadow/adapters"
)

// Fit is what a point would read after value was written.
func (d *Driver) Fit(thing, path string, value any) (any, error) {
	g, c, err := d.characteristic(thing, path)
	if err != nil {
		return nil, err
	}
	point := g.dev.points[path]
	raw, err := c.codec.Encode(point, value)
	if err != nil {
		return nil, err
	}
	fitted, _ := c.codec.Decode(point, append(make([]byte, c.codec.End()-len(raw)), raw...))
	return fitted, nil
}

func (d *Driver) characteristic(thing, path string) (*gatt, *characteristic, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, dev := range d.devices {
		if dev.name != thing || dev.gatt == nil {
			continue
		}
		for _, c := range dev.gatt.chars {
			if c.name == path {
				return dev.gatt, c, nil
			}
		}
	}
	return nil, nil, fmt.Errorf("no characteristic holds %s", path)
}

// Write connects when it has to, writes, reads back and returns what it read.
func (d *Driver) Write(ctx context.Context, c adapters.Command) (adapters.Reading, error) {
	g, _, err := d.characteristic(c.Thing, c.Path)
	if err != nil {
		return adapters.Reading{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	w := &write{c, make(chan outcome, 1)}
	select {
	case g.writes <- w:
	case <-ctx.Done():
		return adapters.Reading{}, errNoBus
	}
	nudge(g.wake)
	select {
	case o := <-w.done:
		return o.reading, o.err
	case <-ctx.Done():
		return adapters.Reading{}, fmt.Errorf("no connection within %s", writeTimeout)
	}
}

// perform writes one value and reads it back.
func (g *gatt) perform(ctx context.Context, r *run, command adapters.Command) (adapters.Reading, error) {
	var c *characteristic
	for _, one := range g.chars {
		if one.name == command.Path {
			c = one
		}
	}
	point := g.dev.points[command.Path]
	raw, err := c.codec.Encode(point, command.Value)
	if err != nil {
		return adapters.Reading{}, &adapters.RefusedError{Reason: err.Error(), Lasting: true}
	}
	// What stands before and behind the value in the characteristic stays.
	if at := c.codec.End() - len(raw); at > 0 || command.ReadFirst {
		now, err := g.bytes(ctx, r, c)
		if err != nil {
			return adapters.Reading{}, err
		}
		if v, quality := c.codec.Decode(point, now); command.ReadFirst && quality == adapters.Good && v == command.Value {
			return g.dev.reading(time.Now(), c.name, v, quality), nil
		}
		if at > 0 {
			if len(now) < c.codec.End() {
				return adapters.Reading{}, &adapters.RefusedError{Reason: fmt.Sprintf("the characteristic has only %d bytes", len(now)), Lasting: true}
			}
			copy(now[at:], raw)
			raw = now
		}
	}
	err = g.call(ctx, r, c, "WriteValue", raw, values{"type": dbus.MakeVariant("request")}).Err
	if err != nil {
		return adapters.Reading{}, refusal(err)
	}
	back, err := g.bytes(ctx, r, c)
	if err != nil {
		return adapters.Reading{}, err
	}
	v, quality := c.codec.Decode(point, back)
	return g.dev.reading(time.Now(), c.name, v, quality), nil
}

// refusal is err as the device's no, when it is one.
func refusal(err error) error {
	var e dbus.Error
	if errors.As(err, &e) && isError(err, "NotPermitted", "NotSupported", "NotAuthorized", "InvalidValueLength", "InvalidOffset", "InvalidArguments") {
		return &adapters.RefusedError{Reason: e.Error(), Lasting: true}
	}
	return err
}

// read reads a characteristic and emits its value.
func (g *gatt) read(ctx context.Context, r *run, c *characteristic) error {
	raw, err := g.bytes(ctx, r, c)
	if err != nil {
		if c.notify && isError(err, "NotPermitted", "NotSupported") {
			return nil // it only notifies
		}
		return fmt.Errorf("read %s: %w", c.name, err)
	}
	v, quality := c.codec.Decode(g.dev.points[c.name], raw)
	r.emit(g.dev.reading(time.Now(), c.name, v, quality))
	return nil
}

func (g *gatt) bytes(ctx context.Context, r *run, c *characteristic) (raw []byte, err error) {
	err = g.call(ctx, r, c, "ReadValue", values{}).Store(&raw)
	return raw, err
}

// notified emits what the device said unasked.
func (g *gatt) notified(r *run, e event) {
	for _, c := range g.chars {
		if c.path == e.path && e.raw != nil {
			v, quality := c.codec.Decode(g.dev.points[c.name], e.raw)
			r.emit(g.dev.reading(time.Now(), c.name, v, quality))
		}
	}
}

// begin has the device read, unless it is.
func (g *gatt) begin(r *run) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.cancel != nil {
		return
	}
	ctx, cancel := context.WithCancel(r.ctx)
	g.cancel = cancel
	r.wg.Go(func() {
		g.keep(ctx, r)
		g.mu.Lock()
		defer g.mu.Unlock()
		g.cancel, g.path = nil, ""
	})
}

// end has the device not read any more.
func (g *gatt) end() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.cancel != nil {
		g.cancel()
	}
}

// The methods below tell a device of its connection. The device may be nil, and
// none that is connected to.

// gattAt says where BlueZ has the device.
func (d *device) gattAt(r *run, p dbus.ObjectPath) {
	if d == nil || d.gatt == nil {
		return
	}
	g := d.gatt
	g.mu.Lock()
	known := g.path == p && g.cancel != nil
	g.path = p
	g.mu.Unlock()
	if !known {
		g.begin(r)
		nudge(g.wake)
	}
}

// gattGone says that BlueZ does not know the device any more; an empty path is
// wherever it is.
func (d *device) gattGone(p dbus.ObjectPath) {
	if d == nil || d.gatt == nil {
		return
	}
	d.gatt.mu.Lock()
	if p == "" || d.gatt.path == p {
		d.gatt.path = ""
	}
	d.gatt.mu.Unlock()
	d.gattState(values{"Connected": dbus.MakeVariant(false)})
}

// gattState says how the connection is.
func (d *device) gattState(props values) {
	if d != nil && d.gatt != nil && isState(props) {
		d.gatt.tell(event{props: props})
	}
}

// gattValue says what a characteristic holds.
func (d *device) gattValue(p dbus.ObjectPath, raw []byte) {
	if d != nil && d.gatt != nil {
		d.gatt.tell(event{path: p, raw: raw})
	}
}

// tell hands an event to the connection; of a flood the rest is dropped: a value
// is read again when it is due.
func (g *gatt) tell(e event) {
	select {
	case g.events <- e:
	default:
	}
}
