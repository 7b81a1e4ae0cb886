package localshadow

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

// maxInline is the largest value that is stored in one piece. Badger's table
// builder goes wrong on 32-bit targets when a value exceeds 32 KiB, and values
// from its threshold (32 KiB) on would go to the value log; so larger ones are
// cut into chunks.
const maxInline = 30 << 10

// maxChunks bounds what one value may cost; a group commit must hold it.
const maxChunks = 12

// MaxValue is the largest value that Set accepts.
const MaxValue = maxInline * maxChunks

// The envelope of every value: format and kind in one byte, CRC32C over that
// byte, the key and the payload. Badger's own block checksums cover a table but
// not a memtable's log, and a value that was filed under a wrong key looks
// whole to them.
const (
	formatInline  = 0x10 // payload is the value
	formatChunked = 0x11 // payload is the number of chunks and the length
	formatChunk   = 0x12 // payload is one chunk
	envelopeSize  = 5
)

// chunkPrefix starts the keys of chunks, outside every prefix that callers use.
const chunkPrefix = '~'

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// DamagedError reports a stored value that is not what was written.
type DamagedError struct {
	Key  []byte
	What string
}

func (e *DamagedError) Error() string { return fmt.Sprintf("read %q: damaged: %s", e.Key, e.What) }

// TooLargeError reports a write that does not fit into one commit.
type TooLargeError struct{ Size, Max int }

func (e *TooLargeError) Error() string {
	return fmt.Sprintf("store %d bytes: at most %d fit into one write", e.Size, e.Max)
}

func seal(format byte, key, payload []byte) []byte {
	raw := make([]byte, envelopeSize, envelopeSize+len(payload))
	raw[0] = format
	binary.BigEndian.PutUint32(raw[1:], checksum(format, key, payload))
	return append(raw, payload...)
}

func unseal(key, raw []byte) (format byte, payload []byte, err error) {
	if len(raw) < envelopeSize {
		return 0, nil, &DamagedError{key, "shorter than its envelope"}
	}
	format, payload = raw[0], raw[envelopeSize:]
	if format < formatInline || format > formatChunk {
		return 0, nil, &DamagedError{key, fmt.Sprintf("unknown format %#x", format)}
	}
	if checksum(format, key, payload) != binary.BigEndian.Uint32(raw[1:]) {
		return 0, nil, &DamagedError{key, "checksum mismatch"}
	}
	return format, payload, nil
}

func checksum(format byte, key, payload []byte) uint32 {
	sum := crc32.Update(0, castagnoli, []byte{format})
	sum = crc32.Update(sum, castagnoli, key)
	return crc32.Update(sum, castagnoli, payload)
}

// chunkKey is unique: the number has a fixed width.
func chunkKey(key []byte, n int) []byte {
	k := make([]byte, 0, len(key)+3)
	k = append(k, chunkPrefix)
	k = append(k, key...)
	return append(k, byte(n>>8), byte(n))
}

// openValue takes a value out of its envelope, and its chunks out of raw.
func openValue(key, sealed []byte, raw func(key []byte) ([]byte, error)) ([]byte, error) {
	format, payload, err := unseal(key, sealed)
	if err != nil {
		return nil, err
	}
	switch format {
	case formatInline:
		return payload, nil
	case formatChunk:
		return nil, &DamagedError{key, "a chunk where a value belongs"}
	}
	chunks, size, err := chunkHead(key, payload)
	if err != nil {
		return nil, err
	}
	value := make([]byte, 0, size)
	for n := range chunks {
		ck := chunkKey(key, n)
		sealed, err := raw(ck)
		if err != nil {
			return nil, &DamagedError{key, fmt.Sprintf("chunk %d of %d: %v", n, chunks, err)}
		}
		format, part, err := unseal(ck, sealed)
		if err != nil {
			return nil, err
		}
		if format != formatChunk {
			return nil, &DamagedError{ck, "not a chunk"}
		}
		value = append(value, part...)
	}
	if len(value) != size {
		return nil, &DamagedError{key, fmt.Sprintf("%d bytes in chunks instead of %d", len(value), size)}
	}
	return value, nil
}

func chunkHead(key, payload []byte) (chunks, size int, err error) {
	if len(payload) != 6 {
		return 0, 0, &DamagedError{key, "chunk list"}
	}
	chunks = int(binary.BigEndian.Uint16(payload))
	size = int(binary.BigEndian.Uint32(payload[2:]))
	if chunks > maxChunks || size > MaxValue {
		return 0, 0, &DamagedError{key, "chunk list"}
	}
	return chunks, size, nil
}

func appendChunkHead(chunks, size int) []byte {
	head := binary.BigEndian.AppendUint16(nil, uint16(chunks))
	return binary.BigEndian.AppendUint32(head, uint32(size))
}
