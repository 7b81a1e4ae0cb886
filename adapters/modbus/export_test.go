package modbus

import (
	"context"
	"time"

	"edgeshadow/adapters"
)

// Internals that the tests of properties need.
var (
	FindAnswer  = findAnswer
	CRC         = crc
	CutFrame    = cutFrame
	CheckAnswer = checkAnswer
)

// Codec decodes and encodes as a point of the configuration does; ok is false
// when it is none.
func Codec(p adapters.Point) (decode func([]uint16) (any, adapters.Quality), encode func(any) ([]uint16, error), words int, ok bool) {
	ok = true
	parsed := parsePoint(p, func(string, string) { ok = false })
	return parsed.codec.decode, parsed.codec.encode, parsed.codec.count, ok
}

// Cycle reads every point of a bus once, as Run does when all are due.
func (b *Bus) Cycle(ctx context.Context, emit func(...adapters.Reading)) {
	b.adopt()
	for _, u := range b.units {
		u.readAll()
	}
	for b.plan(time.Now()); len(b.polls) > 0; {
		b.step(ctx, emit)
	}
}

// Close lets go of what Cycle opened.
func (b *Bus) Close() { b.hangUp() }
