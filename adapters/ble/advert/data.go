package advert

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// MAC is a device's address, as it is written: the most significant byte first.
type MAC [6]byte

// ParseMAC reads A4:C1:38:11:22:33, in either case.
func ParseMAC(text string) (MAC, error) {
	var m MAC
	raw, err := hex.DecodeString(strings.ReplaceAll(text, ":", ""))
	if err != nil || len(raw) != len(m) || len(text) != 17 {
		return m, fmt.Errorf("%q is no address; write it as A4:C1:38:11:22:33", text)
	}
	copy(m[:], raw)
	return m, nil
}

// String is A4:C1:38:11:22:33.
func (m MAC) String() string {
	return fmt.Sprintf("%02X:%02X:%02X:%02X:%02X:%02X", m[0], m[1], m[2], m[3], m[4], m[5])
}

// reversed is m as it goes over the air.
func (m MAC) reversed() []byte { return []byte{m[5], m[4], m[3], m[2], m[1], m[0]} }

// UUID16 is the long form of a UUID of 16 bits.
func UUID16(short uint16) string { return fmt.Sprintf("0000%04x-0000-1000-8000-00805f9b34fb", short) }

// ParseUUID reads a UUID of 16 bits (fcd2) or of 128, and gives its long form.
func ParseUUID(text string) (string, error) {
	text = strings.ToLower(strings.TrimPrefix(strings.ToLower(text), "0x"))
	if len(text) == 4 {
		text = "0000" + text + "-0000-1000-8000-00805f9b34fb"
	}
	digits := strings.ReplaceAll(text, "-", "")
	if _, err := hex.DecodeString(digits); err != nil || len(text) != 36 || len(digits) != 32 {
		return "", fmt.Errorf("%q is no UUID; write 181a, or all of its 32 digits with the four dashes", text)
	}
	return text, nil
}

// Short is a UUID's form of 16 bits, when it has one.
func Short(uuid string) (short uint16, ok bool) {
	rest, ok := strings.CutSuffix(uuid, "-0000-1000-8000-00805f9b34fb")
	n, err := strconv.ParseUint(rest, 16, 16)
	return uint16(n), ok && err == nil
}

// Data is what a device broadcast.
type Data struct {
	MAC          MAC
	Services     map[string][]byte // service data by UUID, long and in lower case
	Manufacturer map[uint16][]byte // by company
}

// Value is one value that a device broadcast.
type Value struct {
	Name  string
	Value any // json.Number, bool or string
	Unit  string
	// Event says that the value is something that happened (a button was
	// pressed), and not a state.
	Event bool
	// Quiet says that the value changes with each advertisement and is for
	// diagnosis: it is reported only when somebody asks for it.
	Quiet bool
}

// The reasons why a frame has no values.
var (
	ErrNoKey     = errors.New("encrypted, no key")
	ErrWrongKey  = errors.New("encrypted with another key")
	ErrPlain     = errors.New("not encrypted, though a bindkey is set: not believed")
	ErrMalformed = errors.New("malformed")
)

// Frame is what one format says.
type Frame struct {
	Format string
	Values []Value
	// Packet tells a new packet from a repeated one; empty: the format does
	// not number them.
	Packet string
	// Raw is what was decoded.
	Raw []byte
	// Err is why there are no values, or not all.
	Err error
}
