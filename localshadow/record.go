package localshadow

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"edgeshadow/localshadow/shadow"
)

// The records of one shadow, below s/<thing>/<shadow>/ (the classic shadow has
// the empty name; neither kind of name can contain a slash):
//
//	l       the local document, or its tombstone
//	r       the sync record, the reconciler's own
//	n       the number of the next decision
//	c/<n>   decisions, the last 64
const (
	shadowPrefix = "s/"
	localSuffix  = "/l"
	syncSuffix   = "/r"
)

// The first byte of a local record.
const (
	recordLive      = 'D' // then the document as shadow encodes it
	recordTombstone = 'T' // then its version as a varint
)

func shadowKey(id shadow.ID, suffix string) []byte {
	key := make([]byte, 0, len(shadowPrefix)+len(id.Thing)+1+len(id.Name)+len(suffix))
	key = append(key, shadowPrefix...)
	key = append(key, id.Thing...)
	key = append(key, '/')
	key = append(key, id.Name...)
	return append(key, suffix...)
}

// splitKey is the inverse of shadowKey; rest is what follows the id.
func splitKey(key []byte) (id shadow.ID, rest string, ok bool) {
	text, ok := strings.CutPrefix(string(key), shadowPrefix)
	if !ok {
		return id, "", false
	}
	thing, text, ok := strings.Cut(text, "/")
	if !ok {
		return id, "", false
	}
	name, rest, ok := strings.Cut(text, "/")
	return shadow.ID{Thing: thing, Name: name}, "/" + rest, ok
}

// local is this side of a shadow. Doc is nil when there is none; version is
// then its tombstone's, one above the last document's (V7), or 0 for a shadow
// that never was.
type local struct {
	doc     *shadow.Document
	version int64
}

func appendLocal(dst []byte, l local) []byte {
	if l.doc == nil {
		return binary.AppendVarint(append(dst, recordTombstone), l.version)
	}
	return shadow.AppendDocument(append(dst, recordLive), l.doc)
}

func decodeLocal(key, value []byte) (local, error) {
	if len(value) == 0 {
		return local{}, &DamagedError{key, "empty"}
	}
	switch body := value[1:]; value[0] {
	case recordLive:
		doc, err := shadow.DecodeDocument(body)
		if err != nil {
			return local{}, &DamagedError{key, err.Error()}
		}
		return local{doc, doc.Version}, nil
	case recordTombstone:
		version, n := binary.Varint(body)
		if n != len(body) || version < 1 {
			return local{}, &DamagedError{key, "tombstone"}
		}
		return local{version: version}, nil
	default:
		return local{}, &DamagedError{key, fmt.Sprintf("unknown record %q", value[0])}
	}
}

// localVersion reads the version of a local record alone: both kinds begin with it.
func localVersion(key, value []byte) (int64, error) {
	if len(value) == 0 {
		return 0, &DamagedError{key, "empty"}
	}
	version, n := binary.Varint(value[1:])
	if n <= 0 {
		return 0, &DamagedError{key, "version"}
	}
	return version, nil
}

// live tells a document from a tombstone without decoding it.
func live(value []byte) bool { return len(value) > 0 && value[0] == recordLive }

func readLocal(get func(key []byte) ([]byte, error), id shadow.ID) (local, error) {
	key := shadowKey(id, localSuffix)
	value, err := get(key)
	if errors.Is(err, ErrNotFound) {
		return local{}, nil
	}
	if err != nil {
		return local{}, err
	}
	return decodeLocal(key, value)
}
