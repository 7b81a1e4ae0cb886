package modbus

import (
	"errors"
	"fmt"

	"edgeshadow/adapters"
)

// Place is where and how a device holds a value, for tools that work without a
// configuration.
type Place struct{ point point }

// ParsePlace reads at, type, order, length, bit and the scaling of a point.
func ParsePlace(p adapters.Point) (Place, error) {
	var errs []error
	parsed := parsePoint(p, func(key, text string) { errs = append(errs, fmt.Errorf("%s: %s", key, text)) })
	return Place{parsed}, errors.Join(errs...)
}

// Table is coil, discrete, input or holding.
func (p Place) Table() string { return p.point.table.String() }

// Addr is the first address, from zero.
func (p Place) Addr() uint16 { return p.point.addr }

// Words is how many registers, or bits, the value takes.
func (p Place) Words() int { return p.point.codec.count }

// Decode is the value that words hold, and what it is worth.
func (p Place) Decode(words []uint16) (any, adapters.Quality) { return p.point.codec.decode(words) }

// Encode is what words hold for value. The error says why it can't be held.
func (p Place) Encode(value any) ([]uint16, error) { return p.point.codec.encode(value) }
