package ble

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"edgeshadow/adapters"
	"edgeshadow/adapters/ble/advert"
)

// inherit goes on counting where a radio of the same name ended.
func (r *radio) inherit(was adapters.Radio) {
	was.Name, was.State, was.Address = r.stats.Name, r.stats.State, r.stats.Address
	r.stats = was
}

// turn tells a watchdog when the driver began what it is at; zero: it waits.
func (d *Driver) turn(began time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.busy = began
}

// Stats is what the adapters did since the start.
func (d *Driver) Stats() adapters.BusStats {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := adapters.BusStats{Type: DriverName, Address: "bluetoothd", Frames: d.frames, Discarded: d.dropped, Err: d.err}
	if !d.busy.IsZero() {
		s.BusySince = new(d.busy)
	}
	problems := []string{}
	for _, r := range d.radios {
		radio := r.snapshot(time.Now())
		s.Radios = append(s.Radios, radio)
		s.Connected = s.Connected || radio.Listens()
		if !radio.Listens() && radio.State != stateStarts {
			problems = append(problems, radio.Name+": "+radio.State)
		}
	}
	slices.SortFunc(s.Radios, func(a, b adapters.Radio) int { return cmp.Compare(a.Name, b.Name) })
	if len(s.Radios) == 0 && s.Err == "" && d.conn != nil {
		problems = append(problems, "no Bluetooth adapter")
	}
	for _, dev := range d.devices {
		if err := dev.problem(); err != "" {
			problems = append(problems, dev.name+": "+err)
		}
	}
	if s.Err == "" {
		slices.Sort(problems)
		s.Err = strings.Join(problems, "; ")
	}
	return s
}

// Seen are the devices that are near, the nearest first, whether they are things
// or not.
func (d *Driver) Seen() []Sighting {
	return d.seen.list(time.Now(), func(mac advert.MAC) (string, []byte) {
		if dev := d.device(mac); dev != nil {
			return dev.name, dev.key
		}
		return "", nil
	})
}
