package modbus

import (
	"context"
	"time"

	"edgeshadow/adapters"
)

// Internals that the tests of properties need.
var (
	FindAnswer  = findAnswer
	CutFrame    = cutFrame
	CheckAnswer = checkAnswer
)

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
