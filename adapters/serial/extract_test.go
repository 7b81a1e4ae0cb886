package serial_test

import (
	"encoding/json"
	"slices"
	"testing"
	"unicode/utf8"

	"edgeshadow/adapters"
	"edgeshadow/adapters/binary"
	"edgeshadow/adapters/serial"
)

var extractions = []serial.Config{
	{Parse: `^(?P<a>\S*)[ ,](?P<b>.*?)(?P<c>[+-]?\d+(?:\.\d+)?)?$`},
	{CSV: &serial.CSV{Columns: []string{"a", "_", "b", "c"}}},
	{JSON: map[string]string{"a": "/a", "b": "/b/0", "c": "", "d": "/a/b~1c/~0"}},
	{NMEA: map[string]string{"a": "GGA.1", "b": "GPGGA.9", "c": "PXXX.1"}},
	{Binary: map[string]binary.Place{
		"a": {Type: "float32"}, "b": {At: 2, Type: "string", Length: 3}, "c": {At: 1, Type: "int24", Order: "DCBA"}, "d": {Bit: new(int)},
	}},
}

// Whatever a device sends, what comes out is a value that a shadow can hold, of
// a name that the configuration has.
func FuzzExtract(f *testing.F) {
	for i, s := range []string{
		"ST,GS +12.5kg", `a,b,"c,d",4`, `{"a":{"b/c":{"~":1e400}},"b":[true]}`, "$GPGGA,123519,,,,,,,,545.4", "\x41\xAC\x00\x00\xFF",
		"9999999999999999999999999999", "+ 1.50E-3 x", "\xFF\xFE,\x00", "{\"a\":1E999999}", "- 0 ,-0",
	} {
		f.Add([]byte(s), byte(i))
	}
	f.Fuzz(func(t *testing.T, frame []byte, which byte) {
		c := extractions[int(which)%len(extractions)]
		names := c.Names()
		for name, v := range serial.Extract(c, map[string]adapters.Point{"a": {Scale: scale(t, "0.01")}, "b": {Type: serial.String(c)}}, frame) {
			if !slices.Contains(names, name) {
				t.Fatalf("a value of the name %q, want one of %q", name, names)
			}
			switch v := v.(type) {
			case nil, bool:
			case string:
				if len(v) > 1024 || !utf8.ValidString(v) {
					t.Fatalf("%s: text of %d bytes, or none: %q", name, len(v), v)
				}
			case json.Number:
				if !json.Valid([]byte(v)) || len(v) > 64 {
					t.Fatalf("%s: no number: %q", name, v)
				}
			default:
				t.Fatalf("%s is a %T", name, v)
			}
		}
	})
}

func BenchmarkExtract(b *testing.B) {
	frame := []byte("ST,GS,+  12.5kg")
	extract := serial.Extractor(serial.Config{Parse: `^ST,GS,(?P<weight>[+-]\s*\d+\.\d)kg$`})
	for b.Loop() {
		if extract(frame) != 1 {
			b.Fatal("no weight")
		}
	}
}

// BenchmarkFramer is the cost of a byte, in frames that are all whole.
func BenchmarkFramer(b *testing.B) {
	line := []byte("$GPGLL,5300.97914,N,00259.98174,E,125926,A*28\r\n")
	feed := serial.Feeder(serial.Frame{Start: "$", End: `\r\n`}, serial.Check{Type: "nmea"})
	b.SetBytes(int64(len(line)))
	for b.Loop() {
		if feed(line) != 1 {
			b.Fatal("no frame")
		}
	}
}
