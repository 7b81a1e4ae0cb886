package ble

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/godbus/dbus/v5"

	"edgeshadow/adapters"
	"edgeshadow/adapters/binary"
	"edgeshadow/adapters/ble/advert"
)

const (
	// connectTimeout bounds how long a device may take to be connected to, and
	// to tell its services: a sleeping one listens every second or two.
	connectTimeout = 30 * time.Second
	// writeTimeout bounds how long a command waits for a connection.
	writeTimeout = 45 * time.Second
	// stayBelow is how often a device is read that is worth staying connected.
	stayBelow = 30 * time.Second
	// connectFirst and connectMost bound the pause between two connections that
	// failed: each costs both batteries and radio time.
	connectFirst = time.Second
	connectMost  = 2 * time.Minute
)

var errDisconnected = errors.New("the device disconnected")

// gatt reads and writes the characteristics of a device.
type gatt struct {
	dev    *device
	chars  []*characteristic
	writes chan *write
	wake   chan struct{}
	events chan event // of the connection; capacity bounds what waits

	mu     sync.Mutex
	path   dbus.ObjectPath // empty: BlueZ does not know the device
	cancel context.CancelFunc
	err    error // why the device is not read
}

// characteristic is a value over a connection.
type characteristic struct {
	name, uuid, service string
	notify              bool
	every               time.Duration
	codec               binary.Codec
	path                dbus.ObjectPath // in the connection that is
	due                 time.Time
}

// event is what BlueZ says of a connection: a state, or a value.
type event struct {
	props values
	path  dbus.ObjectPath
	raw   []byte
}

// write is a command under way.
type write struct {
	adapters.Command
	done chan outcome
}

type outcome struct {
	reading adapters.Reading
	err     error
}

func newGatt(dev *device, chars map[string]Characteristic) *gatt {
	g := &gatt{dev: dev, writes: make(chan *write, 16), wake: make(chan struct{}, 1), events: make(chan event, 256)}
	for _, name := range slices.Sorted(maps.Keys(chars)) {
		c := chars[name]
		uuid, _ := advert.ParseUUID(c.UUID) // Validate did it
		service := ""
		if c.Service != "" {
			service, _ = advert.ParseUUID(c.Service)
		}
		g.chars = append(g.chars, &characteristic{
			name: name, uuid: uuid, service: service, notify: c.Notify, every: c.every(), codec: c.Codec("DCBA"),
		})
	}
	return g
}

// stays says whether the connection is kept between reads.
func (g *gatt) stays() bool {
	return slices.ContainsFunc(g.chars, func(c *characteristic) bool { return c.notify || c.every < stayBelow })
}

// keep reads the device until ctx ends, over one connection or many.
func (g *gatt) keep(ctx context.Context, r *run) {
	again := &backoff.ExponentialBackOff{InitialInterval: connectFirst, MaxInterval: connectMost, Multiplier: 2, RandomizationFactor: 0.3}
	again.Reset()
	for ctx.Err() == nil {
		p, wait := g.where(), time.Duration(0)
		if !g.stays() && len(g.writes) == 0 {
			wait = g.untilDue(time.Now())
		}
		if p == "" || wait > 0 {
			rest(ctx, g.wake, max(wait, time.Second))
			continue
		}
		began := time.Now()
		err := g.session(ctx, r, p)
		if ctx.Err() != nil {
			return
		}
		g.note(err)
		if err == nil || time.Since(began) > connectMost {
			again.Reset()
		}
		if err != nil {
			r.log.Debug("connection", "thing", g.dev.name, "err", err)
			rest(ctx, nil, again.NextBackOff())
		}
	}
}

func (g *gatt) where() dbus.ObjectPath {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.path
}

func (g *gatt) note(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.err = err
}

// untilDue is how long nothing is to be read.
func (g *gatt) untilDue(now time.Time) time.Duration {
	wait := time.Hour
	for _, c := range g.chars {
		wait = min(wait, c.due.Sub(now))
	}
	return wait
}

// session connects, reads what is due, and stays for as long as it is worth it.
func (g *gatt) session(ctx context.Context, r *run, p dbus.ObjectPath) error {
	radio, err := g.connect(ctx, r, p)
	if err != nil {
		return err
	}
	radio.hold(1)
	defer func() {
		radio.hold(-1)
		// The device is let go whatever happened, also when ctx has ended.
		bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTimeout)
		defer cancel()
		_ = r.conn.Object(bluez, p).CallWithContext(bounded, deviceIface+".Disconnect", 0).Err
	}()
	if err := g.find(ctx, r, p); err != nil {
		return err
	}
	for _, c := range g.chars {
		c.due = time.Time{}
		if c.notify {
			if err := g.call(ctx, r, c, "StartNotify").Err; err != nil && !isError(err, "InProgress") {
				return fmt.Errorf("notify %s: %w", c.name, err)
			}
		}
	}
	for {
		for _, c := range g.chars {
			if now := time.Now(); !c.due.After(now) {
				if err := g.read(ctx, r, c); err != nil {
					return err
				}
				c.due = now.Add(c.every)
			}
		}
		if !g.stays() && len(g.writes) == 0 {
			return nil
		}
		timer := time.NewTimer(max(g.untilDue(time.Now()), time.Millisecond))
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case w := <-g.writes:
			reading, err := g.perform(ctx, r, w.Command)
			w.done <- outcome{reading, err}
			if err != nil && !errors.As(err, new(*adapters.RefusedError)) {
				timer.Stop()
				return err
			}
		case e := <-g.events:
			if connected, is := e.props["Connected"].Value().(bool); is && !connected {
				timer.Stop()
				return errDisconnected
			}
			g.notified(r, e)
		case <-timer.C:
		}
		timer.Stop()
	}
}

// connect makes the connection and waits until the device's services are known.
// One adapter makes one connection at a time.
func (g *gatt) connect(ctx context.Context, r *run, p dbus.ObjectPath) (*radio, error) {
	r.mu.Lock()
	radio := r.radios[adapterOf(p)]
	r.mu.Unlock()
	if radio == nil {
		return nil, errNoBus
	}
	radio.dialing.Lock()
	defer radio.dialing.Unlock()
	for len(g.events) > 0 {
		<-g.events // of a connection before
	}
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	if err := r.conn.Object(bluez, p).CallWithContext(ctx, deviceIface+".Connect", 0).Err; err != nil && !isError(err, "AlreadyConnected") {
		return nil, fmt.Errorf("connect: %w", err)
	}
	var resolved dbus.Variant
	err := r.conn.Object(bluez, p).CallWithContext(ctx, properties+".Get", 0, deviceIface, "ServicesResolved").Store(&resolved)
	if is, _ := resolved.Value().(bool); err == nil && is {
		return radio, nil
	}
	for {
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for its services: %w", ctx.Err())
		case e := <-g.events:
			if connected, has := e.props["Connected"].Value().(bool); has && !connected {
				return nil, errDisconnected
			}
			if is, _ := e.props["ServicesResolved"].Value().(bool); is {
				return radio, nil
			}
		}
	}
}

// find looks the characteristics up in what BlueZ knows of the device.
func (g *gatt) find(ctx context.Context, r *run, p dbus.ObjectPath) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	var have objects
	if err := r.conn.Object(bluez, "/").CallWithContext(ctx, objectManager+".GetManagedObjects", 0).Store(&have); err != nil {
		return err
	}
	for _, c := range g.chars {
		c.path = ""
		for _, at := range slices.Sorted(maps.Keys(have)) {
			if strings.HasPrefix(string(at), string(p)+"/") && c.is(have, have[at][charIface]) {
				c.path = at
				break
			}
		}
		if c.path == "" {
			return fmt.Errorf("the device has no characteristic %s", c.uuid)
		}
	}
	return nil
}

// is says whether the properties are those of c.
func (c *characteristic) is(have objects, props values) bool {
	uuid, _ := props["UUID"].Value().(string)
	if !strings.EqualFold(uuid, c.uuid) || c.service == "" {
		return strings.EqualFold(uuid, c.uuid)
	}
	service, _ := props["Service"].Value().(dbus.ObjectPath)
	of, _ := have[service][serviceIface]["UUID"].Value().(string)
	return strings.EqualFold(of, c.service)
}

func (g *gatt) call(ctx context.Context, r *run, c *characteristic, method string, args ...any) *dbus.Call {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return r.conn.Object(bluez, c.path).CallWithContext(ctx, charIface+"."+method, 0, args...)
}
