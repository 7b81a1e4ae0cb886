package adapters

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// ThingStatus is how a wired thing is.
type ThingStatus struct {
	Name       string             `json:"name"`
	Type       string             `json:"type,omitempty"`
	Attributes map[string]string  `json:"attributes,omitempty"`
	Bus        string             `json:"bus"` // the driver: a bus, or what a thing of its own is read by
	Unit       int                `json:"unit"`
	Known      bool               `json:"known"` // false: neither heard nor given up since the start
	Online     bool               `json:"online"`
	Since      time.Time          `json:"since,omitzero"`
	LastSeen   time.Time          `json:"last_seen,omitzero"`
	Quality    map[string]Quality `json:"quality,omitempty"` // of points that are not good
	Refused    map[string]string  `json:"refused,omitempty"` // why a desired value is not taken
	Unreported int                `json:"unreported"`        // values that the sink does not have yet
	Counters   Counters           `json:"counters"`
}

// Counters are what happened to a thing since the start.
type Counters struct {
	Readings uint64 `json:"readings"` // with a value
	Failed   uint64 `json:"failed"`   // without one
	Writes   uint64 `json:"writes"`   // that the device answered
	Refused  uint64 `json:"refused"`  // writes that it refused, or did not answer
	Outages  uint64 `json:"outages"`  // times that it went offline
}

// Things are all wired things, by name.
func (s *Supervisor) Things() []ThingStatus {
	things := s.set.Load().things
	list := make([]ThingStatus, 0, len(things))
	for _, name := range slices.Sorted(maps.Keys(things)) {
		list = append(list, things[name].status(time.Now()))
	}
	return list
}

// Stats is what each bus did since the start, by name.
func (s *Supervisor) Stats() []BusStats {
	drivers := s.set.Load().drivers
	list := make([]BusStats, 0, len(drivers))
	for name, d := range drivers {
		stats := d.Stats()
		stats.Bus = name
		list = append(list, stats)
	}
	slices.SortFunc(list, func(a, b BusStats) int { return cmp.Compare(a.Bus, b.Bus) })
	return list
}

func (t *thing) status(now time.Time) ThingStatus {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := ThingStatus{
		Name: t.name, Type: t.cfg.Type, Attributes: t.cfg.Attributes, Bus: t.cfg.Driver(), Unit: t.cfg.UnitID(),
		Known: t.known, Online: t.online, Since: t.since, LastSeen: t.heard,
		Quality: t.qualities(now), Refused: t.refusals(), Counters: t.counters,
	}
	for _, paths := range t.pending {
		s.Unreported += len(paths)
	}
	return s
}
