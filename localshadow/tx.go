package localshadow

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/dgraph-io/badger/v4"
)

// ErrNotFound says that a key has no value.
var ErrNotFound = errors.New("not found")

// errStop ends a scan early.
var errStop = errors.New("stop")

// Reader reads one consistent state. The slices that it hands out must not be
// changed; values may be kept, keys only within the call.
type Reader interface {
	// Get returns ErrNotFound when the key has no value.
	Get(key []byte) ([]byte, error)
	// Scan visits the keys below prefix in order; an error of fn ends it.
	Scan(prefix []byte, fn func(key, value []byte) error) error
}

// snapshot is a Reader over what is committed.
type snapshot struct{ txn *badger.Txn }

func (r snapshot) Get(key []byte) ([]byte, error) {
	sealed, err := r.raw(key)
	if err != nil {
		return nil, err
	}
	return openValue(key, sealed, r.raw)
}

func (r snapshot) Scan(prefix []byte, fn func(key, value []byte) error) error {
	return r.scan(prefix, prefix, func(key []byte, value func() ([]byte, error)) error {
		v, err := value()
		if err != nil {
			return err
		}
		return fn(key, v)
	})
}

func (r snapshot) raw(key []byte) ([]byte, error) {
	item, err := r.txn.Get(key)
	if errors.Is(err, badger.ErrKeyNotFound) {
		return nil, ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("read %q: %w", key, err)
	}
	value, err := item.ValueCopy(nil)
	if err != nil {
		return nil, fmt.Errorf("read %q: %w", key, err)
	}
	return value, nil
}

// scan visits the keys below prefix from start on. Values are read when asked
// for: a walk over keys alone costs a fraction.
func (r snapshot) scan(prefix, start []byte, fn func(key []byte, value func() ([]byte, error)) error) error {
	it := r.txn.NewIterator(badger.IteratorOptions{Prefix: prefix})
	defer it.Close()
	for it.Seek(start); it.Valid(); it.Next() {
		item := it.Item()
		value := func() ([]byte, error) {
			sealed, err := item.ValueCopy(nil)
			if err != nil {
				return nil, fmt.Errorf("read %q: %w", item.Key(), err)
			}
			return openValue(item.Key(), sealed, r.raw)
		}
		if err := fn(item.Key(), value); err != nil {
			if errors.Is(err, errStop) {
				return nil
			}
			return err
		}
	}
	return nil
}

// Tx is one operation inside a group: it sees all that was written before it,
// committed or not, and its own writes.
type Tx struct {
	group  *group
	writes map[string][]byte // sealed; nil is a removal
	size   int
	chunks map[string]int // changes to group.store.chunks
	after  []func()       // once the writes are part of the group
}

// Get returns ErrNotFound when the key has no value.
func (tx *Tx) Get(key []byte) ([]byte, error) {
	sealed, err := tx.raw(key)
	if err != nil {
		return nil, err
	}
	return openValue(key, sealed, tx.raw)
}

func (tx *Tx) raw(key []byte) ([]byte, error) {
	if sealed, ok := tx.pending(key); ok {
		if sealed == nil {
			return nil, ErrNotFound
		}
		return sealed, nil
	}
	return tx.group.snapshot().raw(key)
}

func (tx *Tx) pending(key []byte) ([]byte, bool) {
	if sealed, ok := tx.writes[string(key)]; ok {
		return sealed, true
	}
	return tx.group.pending(key)
}

// Scan visits the keys below prefix in order, pending writes included. fn must
// not write below prefix.
func (tx *Tx) Scan(prefix []byte, fn func(key, value []byte) error) error {
	pending := make(map[string]struct{})
	for _, writes := range []map[string][]byte{tx.writes, tx.group.writes, tx.group.prevWrites()} {
		for key := range writes {
			if strings.HasPrefix(key, string(prefix)) {
				pending[key] = struct{}{}
			}
		}
	}
	fresh := slices.Sorted(maps.Keys(pending))
	visit := func(key []byte) error {
		value, err := tx.Get(key)
		if errors.Is(err, ErrNotFound) {
			return nil // removed by a pending write
		}
		if err != nil {
			return err
		}
		return fn(key, value)
	}
	err := tx.group.snapshot().scan(prefix, prefix, func(key []byte, value func() ([]byte, error)) error {
		for len(fresh) > 0 && fresh[0] < string(key) {
			if err := visit([]byte(fresh[0])); err != nil {
				return err
			}
			fresh = fresh[1:]
		}
		if len(fresh) > 0 && fresh[0] == string(key) {
			return nil // with the pending value, in the next turn
		}
		v, err := value()
		if err != nil {
			return err
		}
		return fn(key, v)
	})
	for err == nil && len(fresh) > 0 {
		err = visit([]byte(fresh[0]))
		fresh = fresh[1:]
	}
	if errors.Is(err, errStop) {
		return nil
	}
	return err
}

// Set stores a value of up to MaxValue bytes.
func (tx *Tx) Set(key, value []byte) error {
	if len(value) > MaxValue {
		return &TooLargeError{len(value), MaxValue}
	}
	if len(value) <= maxInline {
		tx.dropChunks(key, 0)
		tx.put(key, seal(formatInline, key, value))
		return nil
	}
	n := 0
	for part := range slices.Chunk(value, maxInline) {
		ck := chunkKey(key, n)
		tx.put(ck, seal(formatChunk, ck, part))
		n++
	}
	tx.dropChunks(key, n)
	tx.put(key, seal(formatChunked, key, appendChunkHead(n, len(value))))
	return nil
}

// Delete removes a key; one that has no value too.
func (tx *Tx) Delete(key []byte) {
	tx.dropChunks(key, 0)
	tx.put(key, nil)
}

// dropChunks removes the chunks from number n on that key has now.
func (tx *Tx) dropChunks(key []byte, n int) {
	had, own := tx.chunks[string(key)]
	if !own {
		had = tx.group.store.chunks[string(key)]
	}
	for i := n; i < had; i++ {
		tx.put(chunkKey(key, i), nil)
	}
	if n != had {
		if tx.chunks == nil {
			tx.chunks = make(map[string]int)
		}
		tx.chunks[string(key)] = n
	}
}

func (tx *Tx) put(key, sealed []byte) {
	if tx.writes == nil {
		tx.writes = make(map[string][]byte)
	}
	if old, ok := tx.writes[string(key)]; ok {
		tx.size -= entrySize(key, old)
	}
	tx.writes[string(key)] = sealed
	tx.size += entrySize(key, sealed)
}

// applied runs fn once the operation's writes are part of the group; it does
// not run when the operation fails.
func (tx *Tx) applied(fn func()) { tx.after = append(tx.after, fn) }

func entrySize[K ~string | ~[]byte](key K, sealed []byte) int {
	return len(key) + len(sealed) + entryOverhead
}

// entryOverhead is what badger counts and writes per entry beside its bytes,
// rounded up.
const entryOverhead = 64

// chunkedKeys reads which keys are chunked, and how often.
func chunkedKeys(r snapshot) (map[string]int, error) {
	chunks := make(map[string]int)
	prefix := []byte{chunkPrefix}
	err := r.scan(prefix, prefix, func(key []byte, _ func() ([]byte, error)) error {
		base, _ := bytes.CutPrefix(key, prefix)
		chunks[string(base[:len(base)-2])]++
		return nil
	})
	return chunks, err
}
