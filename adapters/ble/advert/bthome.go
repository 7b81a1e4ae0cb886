package advert

import (
	"encoding/hex"
	"fmt"
)

// The device information byte of BTHome v2.
const (
	bthomeEncrypted = 0x01
	bthomeVersion   = 0xE0
	bthomeV2        = 0x40
)

// bthome decodes BTHome v2: a byte of device information, then objects; sealed
// ones are followed by a counter of 4 bytes and a tag of 4.
func bthome(d Data, key []byte) (Frame, bool) {
	data := d.Services[UUID16(0xFCD2)]
	if len(data) == 0 || data[0]&bthomeVersion != bthomeV2 {
		return Frame{}, false
	}
	f := Frame{Raw: data}
	sealed := data[0]&bthomeEncrypted != 0
	if f.Err = bindkey(sealed, key); f.Err != nil {
		return f, true
	}
	objects := data[1:]
	if sealed {
		if len(objects) < 8 {
			f.Err = ErrMalformed
			return f, true
		}
		counter := objects[len(objects)-8 : len(objects)-4]
		nonce := append(d.MAC[:], 0xD2, 0xFC, data[0])
		nonce = append(nonce, counter...)
		body := append(append([]byte(nil), objects[:len(objects)-8]...), objects[len(objects)-4:]...)
		var err error
		if objects, err = open(key, nonce, nil, body, 4); err != nil {
			f.Err = ErrWrongKey
			return f, true
		}
		f.Packet = hex.EncodeToString(counter)
	}
	f.objects(objects)
	return f, true
}

// objects reads the objects of BTHome one after the other. One that is not
// known has no length, so that what is behind it can't be read.
func (f *Frame) objects(data []byte) {
	for len(data) > 0 {
		id := data[0]
		size, rest, known := bthomeSize(id, data[1:])
		if !known {
			f.Err = fmt.Errorf("object %02x is not known, nor is what follows it", id)
			return
		}
		if len(rest) < size {
			f.Err = ErrMalformed
			return
		}
		f.object(id, rest[:size])
		data = rest[size:]
	}
}

// bthomeSize is how many bytes of data, which follows the id, are the object.
func bthomeSize(id byte, data []byte) (size int, rest []byte, known bool) {
	switch id {
	case bthomePacket, bthomeButton:
		return 1, data, true
	case bthomeDimmer:
		return 2, data, true
	case bthomeText, bthomeRaw:
		if len(data) == 0 {
			return 1, data, true // its length is missing
		}
		return int(data[0]), data[1:], true
	}
	f, known := bthomeObjects[id]
	return f.size, data, known
}

func (f *Frame) object(id byte, b []byte) {
	switch id {
	case bthomePacket:
		if f.Packet == "" {
			f.Packet = hex.EncodeToString(b)
		}
	case bthomeButton:
		if event := bthomeButtons[b[0]]; event != "" {
			f.Values = append(f.Values, Value{Name: "button", Value: event, Event: true})
		}
	case bthomeDimmer:
		if event := bthomeDimmers[b[0]]; event != "" {
			f.Values = append(f.Values, Value{Name: "dimmer", Value: event, Event: true},
				Value{Name: "dimmer_steps", Value: number(int(b[1]))})
		}
	case bthomeText:
		f.Values = append(f.Values, Value{Name: "text", Value: text(b)})
	case bthomeRaw:
		f.Values = append(f.Values, Value{Name: "raw", Value: hex.EncodeToString(b)})
	default:
		if v, ok := bthomeObjects[id].value(b); ok {
			f.Values = append(f.Values, v)
		}
	}
}
