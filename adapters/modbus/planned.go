package modbus

import (
	"cmp"
	"slices"
	"time"

	"edgeshadow/adapters"
)

// Planned is one request that a bus repeats.
type Planned struct {
	Unit   int           `json:"unit"`
	Table  string        `json:"table"`
	Addr   int           `json:"addr"`
	Count  int           `json:"count"` // registers or bits
	Every  time.Duration `json:"every"`
	Points []string      `json:"points"` // thing.path, by address
	// Time is what it takes of a line, its silence included and the device's
	// own time not; 0 over a network.
	Time time.Duration `json:"time"`
}

// Plan is what a bus asks for, and the part of its time that this takes, 1 and
// more being too much. What is not due together is listed apart; when it is, it
// is read together too.
func (bs Buses) Plan(name string, things adapters.Things) (requests []Planned, load float64) {
	b := New(name, bs[name], things, nil)
	b.adopt()
	for _, u := range b.units {
		byEvery := map[time.Duration][]*point{}
		for _, p := range u.points {
			byEvery[p.every] = append(byEvery[p.every], p)
		}
		for every, points := range byEvery {
			for _, r := range plan(points, u.limits, nil) {
				requests = append(requests, b.planned(u, r, every))
			}
		}
	}
	slices.SortFunc(requests, func(a, b Planned) int {
		return cmp.Or(cmp.Compare(a.Unit, b.Unit), cmp.Compare(a.Every, b.Every), cmp.Compare(a.Table, b.Table), cmp.Compare(a.Addr, b.Addr))
	})
	for _, r := range requests {
		load += r.Time.Seconds() / r.Every.Seconds()
	}
	return requests, load
}

func (b *Bus) planned(u *unit, r request, every time.Duration) Planned {
	out := Planned{Unit: int(u.id), Table: r.table.String(), Addr: int(r.addr), Count: r.count, Every: every}
	for _, p := range r.points {
		out.Points = append(out.Points, p.thing+"."+p.path)
	}
	if b.cfg.Type == RTU {
		data := 2 * r.count
		if r.table.bits() {
			data = (r.count + 7) / 8
		}
		// 8 characters there, 5 and the data back.
		out.Time = b.cfg.Line.Time(8+5+data) + b.cfg.silence()
	}
	return out
}
