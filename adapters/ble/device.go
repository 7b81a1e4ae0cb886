package ble

import (
	"encoding/json"
	"reflect"
	"strconv"
	"sync"
	"time"

	"edgeshadow/adapters"
	"edgeshadow/adapters/binary"
	"edgeshadow/adapters/ble/advert"
)

// device is a thing as the driver knows it. What changes is Run's own.
type device struct {
	name   string
	cfg    identity
	mac    advert.MAC
	format string
	key    []byte
	points map[string]adapters.Point
	rules  []rule
	gatt   *gatt // nil: it is never connected to

	last   map[string]packet // by format: what was heard last
	events map[string]int    // by name: how often they happened

	unclear error // why the last frame was not understood

	mu  sync.Mutex
	err string // why nothing is understood
}

// identity is what makes a device another one.
type identity struct {
	name string
	key  string
	Thing
}

func (i identity) same(other identity) bool { return reflect.DeepEqual(i, other) }

// puzzle notes why an advertisement is not understood, and says whether that is
// new.
func (d *device) puzzle(why error) (changed bool) {
	text := ""
	if why != nil {
		text = why.Error()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	changed = d.err != text
	d.err = text
	return changed
}

// problem is why the device says nothing, or not all.
func (d *device) problem() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.err == "" && d.gatt != nil {
		d.gatt.mu.Lock()
		defer d.gatt.mu.Unlock()
		if d.gatt.err != nil {
			return d.gatt.err.Error()
		}
	}
	return d.err
}

// packet is what one format said.
type packet struct {
	id, raw  string
	readings []adapters.Reading
}

// rule is a value in data that no decoder knows.
type rule struct {
	name    string
	company uint16
	service string // or
	codec   binary.Codec
}

// newDevice is the device of a valid section. It reads the bindkey.
func newDevice(name string, t Thing) (*device, error) {
	mac, err := advert.ParseMAC(t.MAC)
	if err != nil {
		return nil, err
	}
	key, err := readKey(t.Bindkey)
	if err != nil {
		return nil, err
	}
	d := &device{
		name: name, cfg: identity{name, string(key), t}, mac: mac, format: t.Decode, key: key, points: t.Points,
		last: map[string]packet{}, events: map[string]int{},
	}
	if d.format == "" {
		d.format = advert.Auto
	}
	for name, r := range t.Values {
		company, service, err := parseData(r.Data)
		if err != nil {
			return nil, err
		}
		d.rules = append(d.rules, rule{name, company, service, r.Codec("DCBA")})
	}
	if len(t.Characteristics) > 0 {
		d.gatt = newGatt(d, t.Characteristics)
	}
	return d, nil
}

// take is what an advertisement says of the device, and why it says nothing, or
// not all.
func (d *device) take(now time.Time, h heard) (readings []adapters.Reading, why error) {
	why = d.unclear
	for _, f := range advert.Decode(h.Data, d.format, d.key) {
		why = f.Err
		readings = append(readings, d.frame(now, f)...)
	}
	for _, r := range d.rules {
		data := h.Services[r.service]
		if r.service == "" {
			data = h.Manufacturer[r.company]
		}
		if data != nil {
			v, quality := r.codec.Decode(d.points[r.name], data)
			readings = append(readings, d.reading(now, r.name, v, quality))
		}
	}
	if len(readings) == 0 {
		// It said nothing new, and is there all the same.
		for format, p := range d.last {
			d.last[format] = p.again(now)
			readings = append(readings, d.last[format].readings...)
		}
	}
	if _, wanted := d.points["rssi"]; wanted && h.rssi != 0 {
		readings = append(readings, d.reading(now, "rssi", json.Number(strconv.Itoa(int(h.rssi))), adapters.Good))
	}
	d.unclear = why
	return readings, why
}

// frame is what a frame says. One that was heard already says that the device
// is there.
func (d *device) frame(now time.Time, f advert.Frame) []adapters.Reading {
	if f.Err != nil && len(f.Values) == 0 {
		return nil
	}
	last, before := d.last[f.Format]
	repeated := f.Packet != "" && f.Packet == last.id || f.Packet == "" && string(f.Raw) == last.raw
	if before && (repeated || len(f.Values) == 0) {
		d.last[f.Format] = last.again(now)
		return d.last[f.Format].readings
	}
	p := packet{id: f.Packet, raw: string(f.Raw)}
	for _, v := range f.Values {
		if _, wanted := d.points[v.Name]; v.Quiet && !wanted {
			continue
		}
		p.readings = append(p.readings, d.reading(now, v.Name, d.scaled(v), adapters.Good))
		if v.Event {
			d.events[v.Name]++
			p.readings = append(p.readings, d.reading(now, v.Name+"_count", json.Number(strconv.Itoa(d.events[v.Name])), adapters.Good))
		}
	}
	d.last[f.Format] = p
	return p.readings
}

func (p packet) again(now time.Time) packet {
	readings := make([]adapters.Reading, len(p.readings))
	for i, r := range p.readings {
		r.Time = now
		readings[i] = r
	}
	p.readings = readings
	return p
}

// scaled is a value with what the configuration makes of it.
func (d *device) scaled(v advert.Value) any {
	point, configured := d.points[v.Name]
	n, numeric := v.Value.(json.Number)
	if !configured || !numeric {
		return v.Value
	}
	raw, err := adapters.ParseDecimal(string(n))
	if err != nil {
		return v.Value
	}
	return point.Named(point.ScaleDecimal(raw))
}

func (d *device) reading(now time.Time, name string, value any, quality adapters.Quality) adapters.Reading {
	return adapters.Reading{Thing: d.name, Path: name, Value: value, Quality: quality, Time: now}
}
