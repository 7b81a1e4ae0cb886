package advert

import "encoding/hex"

// The lengths of service data 181a, by which its formats are told apart.
const (
	atcLength        = 13
	pvvxLength       = 15
	pvvxSealedLength = 11 // counter, 6 sealed bytes, tag
	atcSealedLength  = 8  // counter, 3 sealed bytes, tag
)

var (
	atcLayout = []field{
		{name: "temperature", unit: "°C", at: 6, size: 2, kind: signed, big: true, scale: "0.1"},
		{name: "humidity", unit: "%", at: 8, size: 1},
		{name: "battery", unit: "%", at: 9, size: 1},
		{name: "voltage", unit: "V", at: 10, size: 2, big: true, scale: "0.001"},
	}
	pvvxLayout = []field{
		{name: "temperature", unit: "°C", at: 6, size: 2, kind: signed, scale: "0.01"},
		{name: "humidity", unit: "%", at: 8, size: 2, scale: "0.01"},
		{name: "voltage", unit: "V", at: 10, size: 2, scale: "0.001"},
		{name: "battery", unit: "%", at: 12, size: 1},
	}
	pvvxSealedLayout = []field{
		{name: "temperature", unit: "°C", at: 0, size: 2, kind: signed, scale: "0.01"},
		{name: "humidity", unit: "%", at: 2, size: 2, scale: "0.01"},
		{name: "battery", unit: "%", at: 4, size: 1},
	}
	atcSealedLayout = []field{
		{name: "temperature", unit: "°C", at: 0, size: 1, scale: "0.5", bias: -80},
		{name: "humidity", unit: "%", at: 1, size: 1, scale: "0.5"},
	}
)

// environment is the service data of Environmental Sensing, in which the
// thermometers' firmwares speak.
func environment(d Data) []byte { return d.Services[UUID16(0x181A)] }

// atc decodes the format of atc1441.
func atc(d Data, key []byte) (Frame, bool) {
	data := environment(d)
	if len(data) != atcLength {
		return Frame{}, false
	}
	f := Frame{Raw: data, Err: bindkey(false, key), Packet: hex.EncodeToString(data[12:13])}
	if f.Err == nil {
		f.Values = read(atcLayout, data)
	}
	return f, true
}

// pvvx decodes the custom format of pvvx's firmware, and the two that it seals.
func pvvx(d Data, key []byte) (Frame, bool) {
	data := environment(d)
	f := Frame{Raw: data}
	switch len(data) {
	case pvvxLength:
		f.Packet = hex.EncodeToString(data[13:14])
		if f.Err = bindkey(false, key); f.Err == nil {
			f.Values = read(pvvxLayout, data)
		}
	case pvvxSealedLength, atcSealedLength:
		f.Packet = hex.EncodeToString(data[:1])
		if f.Err = bindkey(true, key); f.Err != nil {
			break
		}
		// The nonce is the address as it is sent, and the field's own head:
		// length, type, UUID, counter.
		nonce := append(d.MAC.reversed(), byte(len(data)+3), ServiceData, 0x1A, 0x18, data[0])
		plain, err := open(key, nonce, []byte{0x11}, data[1:], 4)
		if err != nil {
			f.Err = ErrWrongKey
			break
		}
		if len(data) == pvvxSealedLength {
			f.Values = read(pvvxSealedLayout, plain)
			break
		}
		f.Values = append(read(atcSealedLayout, plain), Value{Name: "battery", Value: number(int(plain[2] & 0x7F)), Unit: "%"})
	default:
		return f, false
	}
	return f, true
}
