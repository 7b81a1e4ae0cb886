package advert

import (
	"encoding/hex"
	"fmt"
)

// The frame control field of MiBeacon.
const (
	miEncrypted  = 1 << 3
	miAddress    = 1 << 4
	miCapability = 1 << 5
	miObjects    = 1 << 6
	miVersion    = 12 // the bits from here on
	// miIO is the capability's bit that says that two more bytes follow.
	miIO = 1 << 5
)

// mibeacon decodes Xiaomi's MiBeacon: frame control, product and counter, the
// address and the capability when they are there, then objects, which are
// sealed in most devices.
func mibeacon(d Data, key []byte) (Frame, bool) {
	data := d.Services[UUID16(0xFE95)]
	if len(data) < 5 {
		return Frame{}, false
	}
	control := int(whole(data[:2], false))
	f := Frame{Raw: data, Packet: hex.EncodeToString(data[4:5])}
	at, mac := 5, d.MAC.reversed()
	if control&miAddress != 0 {
		if len(data) < at+6 {
			f.Err = ErrMalformed
			return f, true
		}
		mac = data[at : at+6]
		at += 6
	}
	if control&miCapability != 0 && at < len(data) {
		if data[at]&miIO != 0 {
			at += 2
		}
		at++
	}
	if control&miObjects == 0 || at >= len(data) {
		return f, true // it says only that it is there
	}
	objects := data[at:]
	sealed := control&miEncrypted != 0
	if f.Err = bindkey(sealed, key); f.Err != nil {
		return f, true
	}
	if sealed {
		if objects, f.Err = unsealMi(control>>miVersion, data, objects, mac, key); f.Err != nil {
			return f, true
		}
	}
	f.miObjects(objects)
	return f, true
}

// unsealMi opens sealed objects: three bytes of a counter and four of a tag
// stand behind them.
func unsealMi(version int, data, objects, mac, key []byte) ([]byte, error) {
	if version < 4 {
		return nil, fmt.Errorf("encrypted in version %d, which is not read", version)
	}
	if len(objects) < 7 {
		return nil, ErrMalformed
	}
	body, counter, tag := objects[:len(objects)-7], objects[len(objects)-7:len(objects)-4], objects[len(objects)-4:]
	nonce := append(append(append([]byte(nil), mac...), data[2:5]...), counter...)
	plain, err := open(key, nonce, []byte{0x11}, append(append([]byte(nil), body...), tag...), 4)
	if err != nil {
		return nil, ErrWrongKey
	}
	return plain, nil
}

// miObjects reads objects: type, length, and as many bytes.
func (f *Frame) miObjects(data []byte) {
	for len(data) > 0 {
		if len(data) < 3 || len(data) < 3+int(data[2]) {
			f.Err = ErrMalformed
			return
		}
		id, b := uint16(whole(data[:2], false)), data[3:3+int(data[2])]
		data = data[3+len(b):]
		if id == miButton && len(b) == 3 {
			if event := miButtons[b[2]]; event != "" {
				f.Values = append(f.Values, Value{Name: "button", Value: event, Event: true})
			}
			continue
		}
		layout, known := miLayouts[id]
		if !known {
			f.Err = fmt.Errorf("object %04x is not known", id)
			continue
		}
		f.Values = append(f.Values, read(layout, b)...)
	}
}
