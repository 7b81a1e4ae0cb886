package modbus

import (
	"cmp"
	"slices"
)

// request is one read: count words of a table from addr on, and the points in it.
type request struct {
	table  table
	addr   uint16
	count  int
	points []*point
}

func (r request) end() int { return int(r.addr) + r.count }

// hole is a range of addresses, from one up to another, that a request for
// more than one point must not reach into or, when it is empty, across: the
// unit answered exception 2 when it did.
type hole struct {
	table    table
	from, to int
	// suspect: it was made while looking for the address that is missing, and
	// may be wider than that.
	suspect bool
}

// limits are those of a unit.
type limits struct {
	gap       int // registers that may be read along
	registers int // in one answer
}

// plan groups points of one unit into the fewest requests that the limits and
// the holes allow. Going through the points by address and filling each request
// up is optimal: a request that began later could reach no further.
// The points are in order (inOrder).
func plan(points []*point, l limits, holes []hole) []request {
	var plan []request
	for _, p := range points {
		if len(plan) > 0 {
			if last := &plan[len(plan)-1]; last.table == p.table && l.fits(*last, p, holes) {
				last.count = max(last.end(), p.end()) - int(last.addr)
				last.points = append(last.points, p)
				continue
			}
		}
		plan = append(plan, request{p.table, p.addr, p.codec.count, []*point{p}})
	}
	return plan
}

// inOrder is the order of points in a plan.
func inOrder(a, b *point) int {
	return cmp.Or(cmp.Compare(a.table, b.table), cmp.Compare(a.addr, b.addr), cmp.Compare(a.thing, b.thing), cmp.Compare(a.path, b.path))
}

// fits says whether p can be read along with r.
func (l limits) fits(r request, p *point, holes []hole) bool {
	gap, most := l.gap, l.registers
	if p.table.bits() {
		gap, most = 16*l.gap, min(maxBits, 16*l.registers) // as many bytes on the wire
	}
	end := max(r.end(), p.end())
	if int(p.addr)-r.end() > gap || end-int(r.addr) > most {
		return false
	}
	return !slices.ContainsFunc(holes, func(h hole) bool {
		return h.table == r.table && int(r.addr) < h.to && end > h.from
	})
}

// split parts a request that a unit refused because of an address: at its
// widest gap, where the missing address is most likely, or in the middle. It
// says which hole that supposes.
func (r request) split() (halves [2]request, between hole) {
	at, widest, end := len(r.points)/2, 0, int(r.addr)
	middle := hole{table: r.table, from: int(r.points[at].addr), to: int(r.points[at].addr), suspect: true}
	for i, p := range r.points {
		if gap := int(p.addr) - end; gap > widest {
			at, widest = i, gap
			middle.from, middle.to = end, int(p.addr)
		}
		end = max(end, p.end())
	}
	for i, points := range [][]*point{r.points[:at], r.points[at:]} {
		half := request{r.table, points[0].addr, 0, points}
		for _, p := range points {
			half.count = max(half.count, p.end()-int(half.addr))
		}
		halves[i] = half
	}
	return halves, middle
}
