package serial_test

import (
	"encoding/json"
	"testing"

	"edgeshadow/adapters"
	"edgeshadow/adapters/serial"
)

func TestTemplate(t *testing.T) {
	nmea := serial.Check{Type: "nmea"}
	behind := serial.Check{Type: "xor", Behind: true}
	marked := serial.Frame{Start: `\x02`, End: `\x03`}
	named := adapters.Point{Enum: map[string]string{"0": "off", "1": "on"}}
	for _, c := range []struct {
		send  string
		frame serial.Frame
		check serial.Check
		point adapters.Point
		value any
		want  string // sent
		fit   any
	}{
		{send: `SP {value}\r\n`, value: num("21.50"), want: "SP 21.5\r\n", fit: num("21.5")},
		{send: "SP {value:.1}", value: num("21.25"), want: "SP 21.3", fit: num("21.3")},
		{send: "SP {value:06.1}", value: num("-2"), want: "SP -002.0", fit: num("-2")},
		{send: "SP {value:6}", value: num("12"), want: "SP     12", fit: num("12")},
		{send: "{value}", point: adapters.Point{Scale: scale(t, "0.1")}, value: num("21.5"), want: "215", fit: num("21.5")},
		{send: "{value:.0}", point: adapters.Point{Scale: scale(t, "0.5")}, value: num("0.7"), want: "1", fit: num("0.5")},
		{send: "{value}", value: "AUTO", want: "AUTO", fit: "AUTO"},
		{send: "{value}", value: true, want: "true", fit: true},
		{send: "REL {value}", point: named, value: "on", want: "REL 1", fit: "on"},
		{send: `{"set":{"sp":{value}}}`, value: num("7"), want: `{"set":{"sp":7}}`, fit: num("7")},
		{send: `$PMTK220,{value}*{check}\r\n`, check: nmea, value: num("1000"), want: "$PMTK220,1000*1F\r\n", fit: num("1000")},
		{send: `\x02W{value}\x03{check}`, frame: marked, check: behind, value: num("1"), want: "\x02W1\x03" + string([]byte{'W' ^ '1' ^ 3}), fit: num("1")},
	} {
		fit, sent, err := serial.Render(c.send, c.frame, c.check, c.point, c.value)
		if err != nil || sent != c.want || fit != c.fit {
			t.Errorf("%s with %v: sent %q, reads %v, %v; want %q, %v", c.send, c.value, sent, fit, err, c.want, c.fit)
		}
	}
	for _, value := range []any{"", "two\nlines", "\x03", nil, []any{}, json.Number("1e300"), "off by one"} {
		p := adapters.Point{}
		if value == "off by one" {
			p = named
		}
		if _, sent, err := serial.Render("{value}", serial.Frame{}, serial.Check{}, p, value); err == nil {
			t.Errorf("%v is sent as %q", value, sent)
		}
	}
}
