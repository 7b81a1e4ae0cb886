package ble

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"time"

	"edgeshadow/adapters/ble/advert"
)

const (
	// maxSeen bounds the devices that are remembered: telephones take another
	// address every quarter of an hour.
	maxSeen = 512
	// seenFor is how long a device is remembered that is not heard.
	seenFor = 10 * time.Minute
)

// seen remembers the devices that were heard, whether they are things or not.
type seen struct {
	mu      sync.Mutex
	devices map[advert.MAC]*sighting
}

// sighting is what was heard of a device last.
type sighting struct {
	heard
	radio    string
	at       time.Time
	adverts  uint64
	services map[string][]byte // all that were heard, not only the last
	makers   map[uint16][]byte
}

// add remembers an advertisement.
func (s *seen) add(now time.Time, radio string, h heard) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.devices == nil {
		s.devices = map[advert.MAC]*sighting{}
	}
	d := s.devices[h.MAC]
	if d == nil {
		if len(s.devices) >= maxSeen {
			s.forget()
		}
		d = &sighting{services: map[string][]byte{}, makers: map[uint16][]byte{}}
		s.devices[h.MAC] = d
	}
	name, rssi := cmp.Or(h.name, d.name), cmp.Or(h.rssi, d.rssi)
	d.heard, d.radio, d.at = h, radio, now
	d.name, d.rssi = name, rssi
	d.adverts++
	for uuid, raw := range h.Services {
		if len(d.services) < 8 || d.services[uuid] != nil {
			d.services[uuid] = raw
		}
	}
	for company, raw := range h.Manufacturer {
		if len(d.makers) < 8 || d.makers[company] != nil {
			d.makers[company] = raw
		}
	}
}

// forget drops the eighth of the devices that was not heard for longest, so that
// a crowd of strangers does not cost a look at all of them each. s.mu is held.
func (s *seen) forget() {
	all := slices.Collect(maps.Values(s.devices))
	slices.SortFunc(all, func(a, b *sighting) int { return a.at.Compare(b.at) })
	for _, d := range all[:len(all)/8+1] {
		delete(s.devices, d.MAC)
	}
}

// Sighting is a device that is near.
type Sighting struct {
	MAC     string       `json:"mac"`
	Name    string       `json:"name,omitempty"`
	Thing   string       `json:"thing,omitempty"` // that it is
	Adapter string       `json:"adapter"`
	RSSI    int16        `json:"rssi"` // dBm; 0: not told
	At      time.Time    `json:"last_seen"`
	Adverts uint64       `json:"adverts"`
	Frames  []SeenFrame  `json:"frames,omitempty"`
	Raw     []SeenRecord `json:"raw,omitempty"` // what no decoder knows
}

// SeenFrame is what a device says in one format.
type SeenFrame struct {
	Format string         `json:"format"`
	Values map[string]any `json:"values,omitempty"`
	Text   string         `json:"text,omitempty"`  // the values for people
	Err    string         `json:"error,omitempty"` // encrypted, no key
}

// SeenRecord is data that no decoder knows, as values of a section name it.
type SeenRecord struct {
	Data string `json:"data"` // manufacturer:004c
	Hex  string `json:"hex"`
}

// list are the devices that are near, the nearest first.
func (s *seen) list(now time.Time, thing func(advert.MAC) (name string, key []byte)) []Sighting {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]Sighting, 0, len(s.devices))
	for mac, d := range s.devices {
		if now.Sub(d.at) > seenFor {
			delete(s.devices, mac)
			continue
		}
		name, key := thing(mac)
		out = append(out, d.sighting(name, key))
	}
	slices.SortFunc(out, func(a, b Sighting) int {
		return cmp.Or(-cmp.Compare(cmp.Or(a.RSSI, -128), cmp.Or(b.RSSI, -128)), cmp.Compare(a.MAC, b.MAC))
	})
	return out
}
