package relay

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"math"
	"time"
)

// record is a message in the journal.
type record struct {
	seq     uint64
	clock   time.Duration // of the journal, when it was taken
	topic   string        // at the cloud
	payload []byte
	qos     byte
	retain  bool
}

// A record on disk: the length of what follows the header and its CRC32C, then
// seq, clock, flags, the length of the topic, topic and payload; little-endian.
const (
	headerSize = 8
	fixedSize  = 8 + 8 + 1 + 2
	maxRecord  = fixedSize + math.MaxUint16 + 256<<10
)

const (
	flagQoS    = 1
	flagRetain = 2
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func (r *record) size() int { return headerSize + fixedSize + len(r.topic) + len(r.payload) }

func (r *record) append(dst []byte) []byte {
	at := len(dst)
	dst = append(dst, make([]byte, headerSize)...)
	dst = binary.LittleEndian.AppendUint64(dst, r.seq)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(r.clock))
	flags := r.qos & flagQoS
	if r.retain {
		flags |= flagRetain
	}
	dst = append(dst, flags)
	dst = binary.LittleEndian.AppendUint16(dst, uint16(len(r.topic)))
	dst = append(dst, r.topic...)
	dst = append(dst, r.payload...)
	body := dst[at+headerSize:]
	binary.LittleEndian.PutUint32(dst[at:], uint32(len(body)))
	binary.LittleEndian.PutUint32(dst[at+4:], crc32.Checksum(body, castagnoli))
	return dst
}

var errTorn = errors.New("damaged record")

// decodeRecord reads the body of a record; the payload stays in it.
func decodeRecord(body []byte, sum uint32) (*record, error) {
	if len(body) < fixedSize || crc32.Checksum(body, castagnoli) != sum {
		return nil, errTorn
	}
	r := &record{
		seq:    binary.LittleEndian.Uint64(body),
		clock:  time.Duration(binary.LittleEndian.Uint64(body[8:])),
		qos:    body[16] & flagQoS,
		retain: body[16]&flagRetain != 0,
	}
	n := int(binary.LittleEndian.Uint16(body[17:]))
	if fixedSize+n > len(body) || r.clock < 0 {
		return nil, errTorn
	}
	r.topic, r.payload = string(body[fixedSize:fixedSize+n]), body[fixedSize+n:]
	return r, nil
}
