package bridge

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"

	"edgeshadow/localshadow/shadow"
)

// record is what is stored of a shadow beside its local document: the sync
// record. It is written in the transaction of the step that changes it.
type record struct {
	// Known: the cloud's state was seen at least once; base and Number mean something.
	Known bool `json:"known,omitempty"`
	// Exists: the cloud has the shadow; Base is its exact document at version Number.
	Exists bool `json:"exists,omitempty"`
	// Number is the highest number of the cloud's number line that was taken
	// in: an update has its version, a delete the version after the last one.
	Number int64 `json:"number,omitempty"`
	// Seen is the cloud's timestamp, in its seconds, of the last message merged.
	Seen int64 `json:"seen,omitempty"`
	// Settled is the local version at which both sides were equal last: of a
	// document with another version there may be something to do.
	Settled int64 `json:"settled,omitempty"`
	// Stamps are the times of local writes since then, by leaf, where the
	// newest write wins.
	Stamps map[string]stamp `json:"stamps,omitempty"`
	// Flight is the request whose answer has not been taken in.
	Flight *flight `json:"flight,omitempty"`
	// Block holds the shadow until one side changes.
	Block *block `json:"block,omitempty"`

	Base   shadow.Document `json:"-"`
	Target shadow.State    `json:"-"` // of Flight: the cloud's state that it would produce
}

// flight is a request that was about to leave: durable before its PUBLISH, so
// that an own write whose answer was lost is recognised.
type flight struct {
	Kind  string `json:"kind"` // update or delete
	Token string `json:"token"`
	// Sent is the version that it was conditional on; 0 for none.
	Sent int64 `json:"sent,omitempty"`
	// Partial: only reported was sent.
	Partial bool `json:"partial,omitempty"`
}

// block is why nothing is sent for a shadow, and what it looked like then.
type block struct {
	Why    string `json:"why"` // oversize, rejected
	Detail string `json:"detail,omitempty"`
	Local  int64  `json:"local"` // version
	Cloud  int64  `json:"cloud"` // number
}

// encode is a length, the JSON of the record, then base and target as the
// documents' own stored form, each behind its length.
func (r *record) encode() ([]byte, error) {
	head, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	out := appendPart(nil, head)
	out = appendPart(out, shadow.AppendDocument(nil, &r.Base))
	if r.Flight != nil {
		out = appendPart(out, shadow.AppendDocument(nil, &shadow.Document{State: r.Target}))
	}
	return out, nil
}

var errRecord = errors.New("sync record is damaged")

// decodeHead is decodeRecord without the documents.
func decodeHead(data []byte) (*record, error) {
	r := &record{}
	if data == nil {
		return r, nil
	}
	head, _, err := cutPart(data)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(head, r); err != nil {
		return nil, fmt.Errorf("%w: %w", errRecord, err)
	}
	return r, nil
}

func decodeRecord(data []byte) (*record, error) {
	r, err := decodeHead(data)
	if err != nil || data == nil {
		return r, err
	}
	_, data, err = cutPart(data)
	if err != nil {
		return nil, err
	}
	base, data, err := cutPart(data)
	if err != nil {
		return nil, err
	}
	d, err := shadow.DecodeDocument(base)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errRecord, err)
	}
	r.Base = *d
	if r.Flight != nil {
		target, _, err := cutPart(data)
		if err != nil {
			return nil, err
		}
		if d, err = shadow.DecodeDocument(target); err != nil {
			return nil, fmt.Errorf("%w: %w", errRecord, err)
		}
		r.Target = d.State
	}
	return r, nil
}

func appendPart(dst, part []byte) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(part))), part...)
}

func cutPart(data []byte) (part, rest []byte, err error) {
	size, n := binary.Uvarint(data)
	if n <= 0 || size > uint64(len(data)-n) {
		return nil, nil, errRecord
	}
	return data[n : n+int(size)], data[n+int(size):], nil
}

// dirty is what the cloud lacks of the local document: the patch that would
// bring it there; nil when nothing.
func (r *record) dirty(local *shadow.Document) *shadow.Object {
	var to shadow.State
	if local != nil {
		to = local.State
	}
	return shadow.Diff(r.Base.State, to)
}

// setBase takes in the cloud's document at a number.
func (r *record) setBase(d shadow.Document, number, timestamp int64) {
	r.Known, r.Exists, r.Base = true, true, d
	r.Base.Version = number
	r.Number = number
	r.Seen = max(r.Seen, timestamp)
}

// setGone takes in that the cloud has no such shadow.
func (r *record) setGone(number, timestamp int64) {
	r.Known, r.Exists, r.Base = true, false, shadow.Document{}
	r.Number = max(r.Number, number)
	r.Seen = max(r.Seen, timestamp)
}
