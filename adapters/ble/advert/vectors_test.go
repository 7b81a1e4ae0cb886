package advert_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"edgeshadow/adapters/ble/advert"
)

// vector is one published advertisement and what it says.
type vector struct {
	name, source string
	mac          string
	service      uint16 // where raw stands; 0: manufacturer data
	company      uint16
	raw          string
	key          string
	format       string
	want         string // name=value, in the order of the frame
	packet       string
	err          error
}

const (
	bthomeIO   = "bthome.io/format and /encryption"
	bthomeBLE  = "Bluetooth-Devices/bthome-ble, tests/test_parser_v2.py"
	xiaomiBLE  = "Bluetooth-Devices/xiaomi-ble, tests/test_parser.py"
	bleMonitor = "custom-components/ble_monitor, test_atc_parser.py, test_eddystone_tlm_parser.py, test_ibeacon_parser.py"
	ruuviDocs  = "docs.ruuvi.com, data format 5, test vectors"
)

var vectors = []vector{
	{name: "temperature and humidity", source: bthomeIO, service: 0xFCD2, raw: "4002C40903BF13", format: "bthome", want: "temperature=25 humidity=50.55"},
	{name: "sealed", source: bthomeIO, mac: "54:48:E6:8F:80:A5", service: 0xFCD2, raw: "41A47266C95F730011223378237214",
		key: "231d39c1d7cc1ab1aee224cd096db932", format: "bthome", want: "temperature=25.06 humidity=50.55", packet: "00112233"},
	{name: "sealed, no key", source: bthomeBLE, mac: "A4:C1:38:8D:18:B2", service: 0xFCD2, raw: "41D2FCEFE52EB212D600112233BC38C966",
		format: "bthome", err: advert.ErrNoKey},
	{name: "sealed, another key", source: bthomeBLE, mac: "A4:C1:38:8D:18:B2", service: 0xFCD2, raw: "41D2FCEFE52EB212D600112233BC38C966",
		key: "814aac74c4f17b6c1581e1ab87816b99", format: "bthome", err: advert.ErrWrongKey},
	{name: "plain though there is a key", source: bthomeBLE, service: 0xFCD2, raw: "4004138A01",
		key: "814aac74c4f17b6c1581e1ab87816b99", format: "bthome", err: advert.ErrPlain},
	{name: "pressure", source: bthomeBLE, service: 0xFCD2, raw: "4004138A01", format: "bthome", want: "pressure=1008.83"},
	{name: "Shelly BLU H&T", source: bthomeBLE, service: 0xFCD2, raw: "40002E01641E012E34451601", format: "bthome",
		want: "battery=100 light=true humidity=52 temperature=27.8", packet: "2e"},
	{name: "LYWSDCGQ", source: xiaomiBLE, mac: "58:2D:34:35:93:21", service: 0xFE95, raw: "5020aa01da219335342d580d1004fe004802",
		format: "mibeacon", want: "temperature=25.4 humidity=58.4", packet: "da"},
	{name: "LYWSD03MMC, version 3, plain", source: xiaomiBLE, mac: "A4:C1:38:B4:94:4C", service: 0xFE95, raw: "50305b05034c94b438c1a40d10041001ea01",
		format: "mibeacon", want: "temperature=27.2 humidity=49", packet: "03"},
	{name: "CGG1", source: xiaomiBLE, mac: "5A:58:2D:34:12:5F", service: 0xFE95, raw: "5858480b685f12342d585a0b1841e2aa000e00a4964fb5",
		key: "814aac74c4f17b6c1581e1ab87816b99", format: "mibeacon", want: "humidity=59.6", packet: "68"},
	{name: "CGDK2", source: xiaomiBLE, mac: "58:2D:34:12:20:89", service: 0xFE95, raw: "58586f0607892012342d585f176dd54f0200002fa453fa",
		key: "a3bfe9853dd85a620debe3620caaa351", format: "mibeacon", want: "temperature=22.6", packet: "07"},
	{name: "LYWSD02MMC", source: xiaomiBLE, mac: "A4:C1:38:56:53:84", service: 0xFE95, raw: "5858e4162c84535638c1a42b6ef2e91200006c884d9e",
		key: "a115210eed7a88e50ad52662e732a9fb", format: "mibeacon", want: "humidity=58", packet: "2c"},
	{name: "LYWSD02MMC without its address", source: xiaomiBLE, mac: "A4:C1:38:0E:FD:78", service: 0xFE95, raw: "4858422529202d8c7a76b756a82a0078b8224e",
		key: "19b1c678ab0a8bc3dc77765f059188d4", format: "mibeacon", want: "temperature=26.1", packet: "29"},
	{name: "LYWSD03MMC, sealed", source: xiaomiBLE, mac: "A4:C1:38:02:83:F4", service: 0xFE95, raw: "58585b0550f4830238c1a495ef58763c26000097e2abb5",
		key: "e9ea895fac7cca6d30532432a516f3a8", format: "mibeacon", want: "humidity=46.7", packet: "50"},
	{name: "LYWSD03MMC, sealed, no key", source: xiaomiBLE, mac: "A4:C1:38:02:83:F4", service: 0xFE95, raw: "58585b0550f4830238c1a495ef58763c26000097e2abb5",
		format: "mibeacon", packet: "50", err: advert.ErrNoKey},
	{name: "XMWSDJ04MMC", source: xiaomiBLE, mac: "2C:11:65:25:70:04", service: 0xFE95, raw: "48590312a41b776e7c96add7000000f2bf545b",
		key: "b2cf9a553d53571b5657defd582d676e", format: "mibeacon", want: "humidity=45", packet: "a4"},
	{name: "JTYJGD03MI, smoke", source: xiaomiBLE, mac: "54:EF:44:E3:9C:BC", service: 0xFE95, raw: "5859970966bc9ce344ef5401081205000000715ebe90",
		key: "5b51a7c91cde6707c9ef18dfda143a58", format: "mibeacon", want: "smoke=true", packet: "66"},
	{name: "JTYJGD03MI, button", source: xiaomiBLE, mac: "54:EF:44:E3:9C:BC", service: 0xFE95, raw: "5859970964bc9ce344ef5422206088fd000000003a148fb3",
		key: "5b51a7c91cde6707c9ef18dfda143a58", format: "mibeacon", want: "button=press", packet: "64"},
	{name: "HHCCJCY01", source: xiaomiBLE, mac: "C4:7C:8D:6B:4F:F3", service: 0xFE95, raw: "7120980012f34f6b8d7cc40d041002c400",
		format: "mibeacon", want: "temperature=19.6", packet: "12"},
	{name: "LYWSD03MMC says only that it is there", source: xiaomiBLE, mac: "A4:C1:38:D4:3C:48", service: 0xFE95, raw: "30585b0502483cd438c1a408",
		format: "mibeacon", packet: "02"},
	{name: "atc1441", source: bleMonitor, mac: "A4:C1:38:02:83:F4", service: 0x181A, raw: "a4c1380283f400a22f5f0bf819", format: "atc",
		want: "temperature=16.2 humidity=47 battery=95 voltage=3.064", packet: "19"},
	{name: "custom", source: bleMonitor, mac: "A4:C1:38:02:83:F4", service: 0x181A, raw: "f4830238c1a4a9066911b60b58f70d", format: "pvvx",
		want: "temperature=17.05 humidity=44.57 voltage=2.998 battery=88", packet: "f7"},
	{name: "custom, sealed", source: bleMonitor, mac: "A4:C1:38:8D:18:B2", service: 0x181A, raw: "11d603fbfa7b6dfb1e26fd",
		key: "b9ea895fac7eea6d30532432a516f3a3", format: "pvvx", want: "temperature=23.45 humidity=41.73 battery=61", packet: "11"},
	{name: "custom, sealed, no key", source: bleMonitor, mac: "A4:C1:38:8D:18:B2", service: 0x181A, raw: "11d603fbfa7b6dfb1e26fd",
		format: "pvvx", packet: "11", err: advert.ErrNoKey},
	{name: "valid data", source: ruuviDocs, company: 0x0499, raw: "0512FC5394C37C0004FFFC040CAC364200CDCBB8334C884F", format: "ruuvi",
		want:   "temperature=24.3 humidity=53.49 pressure=1000.44 acceleration_x=0.004 acceleration_y=-0.004 acceleration_z=1.036 movement_counter=66 voltage=2.977 tx_power=4",
		packet: "00cd"},
	{name: "maximum values", source: ruuviDocs, company: 0x0499, raw: "057FFFFFFEFFFE7FFF7FFF7FFFFFDEFEFFFECBB8334C884F", format: "ruuvi",
		want:   "temperature=163.835 humidity=163.835 pressure=1155.34 acceleration_x=32.767 acceleration_y=32.767 acceleration_z=32.767 movement_counter=254 voltage=3.646 tx_power=20",
		packet: "fffe"},
	{name: "minimum values", source: ruuviDocs, company: 0x0499, raw: "058001000000008001800180010000000000CBB8334C884F", format: "ruuvi",
		want:   "temperature=-163.835 humidity=0 pressure=500 acceleration_x=-32.767 acceleration_y=-32.767 acceleration_z=-32.767 movement_counter=0 voltage=1.6 tx_power=-40",
		packet: "0000"},
	{name: "invalid values", source: ruuviDocs, company: 0x0499, raw: "058000FFFFFFFF800080008000FFFFFFFFFFFFFFFFFFFFFF", format: "ruuvi"},
	{name: "TLM", source: bleMonitor, service: 0xFEAA, raw: "20000C6F1E000002006D41DB9AB6", format: "eddystone",
		want: "voltage=3.183 temperature=30 advertisements=131181 uptime=110491103", packet: "0002006d"},
	{name: "TLM without readings", source: bleMonitor, service: 0xFEAA, raw: "2000000080000002006D41DB9AB6", format: "eddystone",
		want: "advertisements=131181 uptime=110491103", packet: "0002006d"},
	{name: "UID", source: "layout of google/eddystone, eddystone-uid", service: 0xFEAA, raw: "00EE000102030405060708090A0B0C0D0E0F0000", format: "eddystone",
		want: "namespace=00010203040506070809 instance=0a0b0c0d0e0f tx_power=-18"},
	{name: "iBeacon", source: bleMonitor, company: 0x004C, raw: "0215E2C56DB5DFFB48D2B060D0F5A71096E000640000C5", format: "ibeacon",
		want: "uuid=e2c56db5-dffb-48d2-b060-d0f5a71096e0 major=100 minor=0 tx_power=-59"},
}

func (v vector) data(tb testing.TB) (advert.Data, []byte) {
	tb.Helper()
	d := advert.Data{}
	if v.mac != "" {
		mac, err := advert.ParseMAC(v.mac)
		if err != nil {
			tb.Fatal(err)
		}
		d.MAC = mac
	}
	if v.service != 0 {
		d.Services = map[string][]byte{advert.UUID16(v.service): mustHex(tb, v.raw)}
	} else {
		d.Manufacturer = map[uint16][]byte{v.company: mustHex(tb, v.raw)}
	}
	if v.key == "" {
		return d, nil
	}
	return d, mustHex(tb, v.key)
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
	for _, v := range vectors {
		t.Run(v.format+"/"+v.name, func(t *testing.T) {
			data, key := v.data(t)
			frames := advert.Decode(data, advert.Auto, key)
			if len(frames) != 1 || frames[0].Format != v.format {
				t.Fatalf("frames %+v, want one of %s (%s)", frames, v.format, v.source)
			}
			f := frames[0]
			if d := cmp.Diff(v.want, told(f.Values)); d != "" {
				t.Errorf("%s (-want +got):\n%s", v.source, d)
			}
			if !errors.Is(f.Err, v.err) || (v.err == nil) != (f.Err == nil) {
				t.Errorf("error %v, want %v", f.Err, v.err)
			}
			if f.Packet != v.packet {
				t.Errorf("packet %q, want %q", f.Packet, v.packet)
			}
		})
		seen[v.format] = true
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
	for _, v := range vectors {
		data, key := v.data(f)
		for _, raw := range data.Services {
			f.Add(uint16(v.service), uint16(0), raw, key)
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
