package advert_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"edgeshadow/adapters/ble/advert"
	"edgeshadow/test/bletest"
)

// dataOf is a vector as decoders take it, and its key.
func dataOf(tb testing.TB, v bletest.Vector) (advert.Data, []byte) {
	tb.Helper()
	a, key, err := v.Advert()
	if err != nil {
		tb.Fatal(err)
	}
	mac, err := advert.ParseMAC(a.MAC)
	if err != nil {
		tb.Fatal(err)
	}
	return advert.Data{MAC: mac, Services: a.Services, Manufacturer: a.Manufacturer}, key
}

// told is a frame's values as the table writes them.
func told(values []advert.Value) string {
	s := ""
	for _, v := range values {
		if s != "" {
			s += " "
		}
		s += fmt.Sprintf("%s=%v", v.Name, v.Value)
	}
	return s
}

func TestDecode_PublishedVectors(t *testing.T) {
	seen := map[string]bool{}
	for _, v := range bletest.Vectors {
		t.Run(v.Format+"/"+v.Name, func(t *testing.T) {
			data, key := dataOf(t, v)
			frames := advert.Decode(data, advert.Auto, key)
			if len(frames) != 1 || frames[0].Format != v.Format {
				t.Fatalf("frames %+v, want one of %s (%s)", frames, v.Format, v.Source)
			}
			f := frames[0]
			if d := gocmp.Diff(v.Want, told(f.Values)); d != "" {
				t.Errorf("%s (-want +got):\n%s", v.Source, d)
			}
			if got := fmt.Sprint(f.Err); got != cmp.Or(v.Err, "<nil>") {
				t.Errorf("error %s, want %s", got, v.Err)
			}
			if f.Packet != v.Packet {
				t.Errorf("packet %q, want %q", f.Packet, v.Packet)
			}
		})
		seen[v.Format] = true
	}
	for _, format := range advert.Formats() {
		if !seen[format] {
			t.Errorf("%s has no vector", format)
		}
	}
}

func TestDecode_BTHomeObjects(t *testing.T) {
	for raw, want := range map[string]string{
		"40" + "3A01":                         "button=press",
		"40" + "3A00" + "3A04":                "button=long_press",
		"40" + "3C0203":                       "dimmer=rotate_right dimmer_steps=3",
		"40" + "530C48656C6C6F20576F726C6421": "text=Hello World!",
		"40" + "540402FF0380":                 "raw=02ff0380",
		"40" + "F100010204":                   "firmware_version=4.2.1.0",
		"40" + "0261" + "0A" + "0262" + "0A":  "temperature=26.57 temperature_2=26.58",
		"40" + "5C02FBFFFF":                   "power=-12.78",
		"40" + "07" + "6400":                  "mass=0.45359237",
		"40" + "1101" + "2100" + "15" + "01":  "opening=true motion=false battery_low=true",
		"40" + "0164" + "EE" + "0164":         "battery=100", // what follows the unknown one is lost
		"40" + "0164" + "02C4":                "battery=100", // cut short
		"44" + "50" + "5D396164":              "timestamp=1684093277",
	} {
		d := advert.Data{Services: map[string][]byte{advert.UUID16(0xFCD2): mustHex(t, raw)}}
		frames := advert.Decode(d, "bthome", nil)
		if len(frames) != 1 || told(frames[0].Values) != want {
			t.Errorf("%s: %+v, want %s", raw, frames, want)
		}
	}
}

// Whatever a stranger broadcasts, decoding ends, and each value is one that a
// shadow can hold.
func FuzzDecode(f *testing.F) {
	for _, v := range bletest.Vectors {
		data, key := dataOf(f, v)
		for _, raw := range data.Services {
			f.Add(uint16(v.Service), uint16(0), raw, key)
		}
		for company, raw := range data.Manufacturer {
			f.Add(uint16(0), company, raw, key)
		}
	}
	f.Fuzz(func(t *testing.T, service, company uint16, raw, key []byte) {
		if len(key) != 16 {
			key = nil
		}
		d := advert.Data{
			Services: map[string][]byte{advert.UUID16(service): raw}, Manufacturer: map[uint16][]byte{company: raw},
		}
		for _, format := range advert.Formats() {
			for _, frame := range advert.Decode(d, format, key) {
				names := map[string]bool{}
				for _, v := range frame.Values {
					if v.Name == "" || names[v.Name] {
						t.Fatalf("%s: name %q, twice or empty", format, v.Name)
					}
					names[v.Name] = true
					switch value := v.Value.(type) {
					case bool, string:
					case json.Number:
						if !json.Valid([]byte(value)) || len(value) > 64 {
							t.Fatalf("%s: %s is no number: %q", format, v.Name, value)
						}
					default:
						t.Fatalf("%s: %s is a %T", format, v.Name, v.Value)
					}
				}
			}
		}
	})
}

func TestParse(t *testing.T) {
	if m, err := advert.ParseMAC("a4:c1:38:11:22:33"); err != nil || m.String() != "A4:C1:38:11:22:33" {
		t.Errorf("%v, %v", m, err)
	}
	for _, text := range []string{"", "A4C138112233", "A4:C1:38:11:22", "A4:C1:38:11:22:3G", "A4:C1:38:11:22:33:44"} {
		if m, err := advert.ParseMAC(text); err == nil {
			t.Errorf("%q is %v", text, m)
		}
	}
	for text, want := range map[string]string{
		"FCD2": "0000fcd2-0000-1000-8000-00805f9b34fb", "0x181a": "0000181a-0000-1000-8000-00805f9b34fb",
		"00002A6E-0000-1000-8000-00805F9B34FB": "00002a6e-0000-1000-8000-00805f9b34fb",
		"fcd":                                  "", "": "", "0000fcd2-0000-1000-8000-00805f9b34f": "", "0000fcd2a0000-1000-8000-00805f9b34fb": "",
	} {
		if got, err := advert.ParseUUID(text); got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v; want %q", text, got, err, want)
		}
	}
}

// BenchmarkDecode is the cost of one advertisement, in each format, plain and
// sealed.
func BenchmarkDecode(b *testing.B) {
	for _, v := range bletest.Vectors {
		if v.Want == "" {
			continue
		}
		data, key := dataOf(b, v)
		b.Run(v.Format+"/"+v.Name, func(b *testing.B) {
			for b.Loop() {
				if frames := advert.Decode(data, advert.Auto, key); len(frames) != 1 {
					b.Fatal(frames)
				}
			}
		})
	}
}
