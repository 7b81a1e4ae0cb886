package serial_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"edgeshadow/adapters/serial"
)

// Who sees half a line and some whole ones can tell what a device says; what is
// guessed finds its values again.
func TestGuess(t *testing.T) {
	for _, c := range []struct {
		heard string
		want  serial.Config
	}{
		{"2.5kg\r\nST,GS,+  12.5kg\r\nST,GS,-   0.3kg\r\n", serial.Config{
			Frame: serial.Frame{End: `\r\n`}, Parse: `^ST,GS,(?P<value_1>[+-]?\s*\d+\.\d+)kg$`,
		}},
		{"\x02A 17\x03\x02A 18\x03", serial.Config{Frame: serial.Frame{Start: `\x02`, End: `\x03`}, Parse: `^A(?P<value_1>[+-]?\s*\d+)$`}},
		{"{}\n{\"t\": 21.5, \"net\": {\"up\": true}, \"id\": \"a\"}\n", serial.Config{JSON: map[string]string{"t": "/t", "id": "/id"}}},
		{"$GPGGA,123519,4807.038,N,01131.000,E,1,08,0.9,545.4,M,46.9,M,,*47\r\n", serial.Config{
			Frame: serial.Frame{Start: "$", End: `\r\n`}, Check: serial.Check{Type: "nmea"},
			NMEA: map[string]string{"altitude": "GGA.9", "satellites": "GGA.7"},
		}},
	} {
		got, frames, ok := serial.Guess([]byte(c.heard))
		if d := cmp.Diff(c.want, got, cmpopts.EquateEmpty()); d != "" || !ok || len(frames) == 0 {
			t.Errorf("%q: %v, frames %q (-want +got)\n%s", c.heard, ok, frames, d)
		}
		got.Port = "/dev/ttyUSB0"
		fault := func(key, text string) { t.Errorf("%q: the guess is wrong: %s: %s", c.heard, key, text) }
		got.Validate(nil, fault, fault)
	}
	for _, heard := range []string{"", "\r\n", strings.Repeat("\x00\xFF\x80", 20), "no end"} {
		if c, _, ok := serial.Guess([]byte(heard)); ok {
			t.Errorf("%q: guessed %+v", heard, c)
		}
	}
	if text, noise := serial.Legible([]byte("ST,GS,+12.5kg\r\n")), serial.Legible([]byte("\xD3T\xAC\x87\x53\x00")); text != 1 || noise > 0.6 {
		t.Errorf("text is legible to %v, noise to %v", text, noise)
	}
}
