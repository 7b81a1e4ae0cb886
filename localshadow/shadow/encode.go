package shadow

import (
	"encoding/binary"
	"errors"
)

// The stored form of a document: the version and the size of the state as
// varints, the state as JSON text, then the stamps of its leaves in walk order,
// each as the varint of its difference to the one before. Metadata that costs
// some 25 bytes a leaf on the wire costs one or two.

// AppendDocument adds the stored form of d.
func AppendDocument(dst []byte, d *Document) []byte {
	text := Append(nil, d.State.object())
	dst = binary.AppendVarint(dst, d.Version)
	dst = binary.AppendUvarint(dst, uint64(len(text)))
	dst = append(dst, text...)
	p := packer{dst: dst}
	p.pack(d.State.object(), d.Metadata.object())
	return p.dst
}

type packer struct {
	dst  []byte
	last int64
}

func (p *packer) pack(state, meta any) {
	switch s := state.(type) {
	case *Object:
		m, _ := meta.(*Object)
		for key, v := range s.All() {
			inner, _ := m.Get(key)
			p.pack(v, inner)
		}
	case []any:
		m, _ := meta.([]any)
		for i, v := range s {
			var inner any
			if i < len(m) {
				inner = m[i]
			}
			p.pack(v, inner)
		}
	default:
		t, _ := meta.(Timestamp)
		p.dst = binary.AppendVarint(p.dst, int64(t)-p.last)
		p.last = int64(t)
	}
}

var errStored = errors.New("stored document is damaged")

// DecodeDocument reads the stored form of one document and nothing after it.
func DecodeDocument(data []byte) (*Document, error) {
	version, n := binary.Varint(data)
	if n <= 0 {
		return nil, errStored
	}
	data = data[n:]
	size, n := binary.Uvarint(data)
	if n <= 0 || size > uint64(len(data)-n) {
		return nil, errStored
	}
	text, packed := data[n:n+int(size)], data[n+int(size):]
	v, err := Parse(text)
	if err != nil {
		return nil, errStored
	}
	state, ok := v.(*Object)
	if !ok {
		return nil, errStored
	}
	u := unpacker{data: packed}
	meta, ok := u.unpack(state).(*Object)
	if !ok || u.bad || len(u.data) > 0 {
		return nil, errStored
	}
	d := &Document{Version: version}
	for key, section := range state.All() {
		s, ok := section.(*Object)
		if !ok || s.Len() == 0 {
			return nil, errStored
		}
		m, _ := meta.Get(key)
		switch key {
		case "desired":
			d.State.Desired, d.Metadata.Desired = s, m.(*Object)
		case "reported":
			d.State.Reported, d.Metadata.Reported = s, m.(*Object)
		default:
			return nil, errStored
		}
	}
	return d, nil
}

type unpacker struct {
	data []byte
	last int64
	bad  bool
}

func (u *unpacker) unpack(state any) any {
	switch s := state.(type) {
	case *Object:
		b := builder{members: make([]Member, 0, s.Len())}
		for key, v := range s.All() {
			b.set(key, u.unpack(v))
		}
		return b.object()
	case []any:
		out := make([]any, len(s))
		for i, v := range s {
			out[i] = u.unpack(v)
		}
		return out
	default:
		d, n := binary.Varint(u.data)
		if n <= 0 {
			u.bad = true
			return Timestamp(0)
		}
		u.data = u.data[n:]
		u.last += d
		return Timestamp(u.last)
	}
}
