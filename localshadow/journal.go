package localshadow

import (
	"encoding/binary"
	"errors"

	"edgeshadow/localshadow/shadow"
)

const (
	// maxDecisions are kept per shadow, maxAllDecisions of all: as many as an
	// operator looks back on, in a store that stays small.
	maxDecisions    = 64
	maxAllDecisions = 1000

	journalPrefix = "m/c/"
	journalNext   = "m/n"
)

// AppendDecision adds an entry to the journal of this shadow and to that of the
// gateway. The oldest entries make room.
func (t *SyncTx) AppendDecision(decision []byte) error {
	err := ring{shadowKey(t.id, "/c/"), shadowKey(t.id, "/n"), maxDecisions}.append(t.tx, decision)
	if err != nil {
		return err
	}
	return ring{[]byte(journalPrefix), []byte(journalNext), maxAllDecisions}.append(t.tx, decision)
}

// Decisions is the journal of a shadow, or the gateway's when id is nil, newest
// last.
func (s *Service) Decisions(id *shadow.ID) ([][]byte, error) {
	prefix := []byte(journalPrefix)
	if id != nil {
		prefix = shadowKey(*id, "/c/")
	}
	var decisions [][]byte
	err := s.store.View(func(r Reader) error {
		return r.Scan(prefix, func(_, value []byte) error {
			decisions = append(decisions, value)
			return nil
		})
	})
	return decisions, err
}

// ring is a numbered run of entries below prefix, of which the last size stay.
type ring struct {
	prefix, next []byte
	size         uint64
}

func (r ring) append(tx *Tx, entry []byte) error {
	var n uint64
	next, err := tx.Get(r.next)
	switch {
	case errors.Is(err, ErrNotFound):
	case err != nil:
		return err
	case len(next) != 8:
		return &DamagedError{r.next, "journal number"}
	default:
		n = binary.BigEndian.Uint64(next)
	}
	if n >= r.size {
		tx.Delete(r.key(n - r.size))
	}
	if err := tx.Set(r.key(n), entry); err != nil {
		return err
	}
	return tx.Set(r.next, binary.BigEndian.AppendUint64(nil, n+1))
}

func (r ring) key(n uint64) []byte {
	return binary.BigEndian.AppendUint64(append([]byte(nil), r.prefix...), n)
}
