package localshadow

import (
	"context"
	"encoding/binary"
	"time"
)

// ageKey holds for how long this store has been open in all, in seconds.
const ageKey = "m/age"

// Age is for how long this store has been open, in all its life. It is what
// expires things: a wall clock may jump by years. A power cut takes back what
// was not saved.
func (s *Store) Age() time.Duration { return s.age + time.Since(s.opened) }

// SaveAge makes the age durable. Close does so too.
func (s *Store) SaveAge(ctx context.Context) error {
	return s.Update(ctx, func(tx *Tx) error { return tx.Set([]byte(ageKey), encodeAge(s.Age())) })
}

func encodeAge(age time.Duration) []byte {
	return binary.AppendUvarint(nil, uint64(age/time.Second))
}

func decodeAge(value []byte) time.Duration {
	n, _ := binary.Uvarint(value) // one that can't be read is none: nothing expires early
	return time.Duration(n) * time.Second
}
