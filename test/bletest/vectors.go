package bletest

import (
	"encoding/hex"
	"fmt"
)

// Vector is one published advertisement and what it says.
type Vector struct {
	Name, Source string
	MAC          string
	Service      uint16 // where Raw stands; 0: manufacturer data
	Company      uint16
	Raw          string // hexadecimal
	Key          string // hexadecimal; empty: none
	Format       string
	Want         string // name=value, in the order of the frame
	Packet       string
	Err          string // why there are no values
}

const (
	noKey    = "encrypted, no key"
	wrongKey = "encrypted with another key"
	plain    = "not encrypted, though a bindkey is set: not believed"

	bthomeIO   = "bthome.io/format and /encryption"
	bthomeBLE  = "Bluetooth-Devices/bthome-ble, tests/test_parser_v2.py"
	xiaomiBLE  = "Bluetooth-Devices/xiaomi-ble, tests/test_parser.py"
	bleMonitor = "custom-components/ble_monitor, test_atc_parser.py, test_eddystone_tlm_parser.py, test_ibeacon_parser.py"
	ruuviDocs  = "docs.ruuvi.com, data format 5, test vectors"
)

// Vectors are published advertisements, by format.
var Vectors = []Vector{
	{Name: "temperature and humidity", Source: bthomeIO, Service: 0xFCD2, Raw: "4002C40903BF13", Format: "bthome", Want: "temperature=25 humidity=50.55"},
	{Name: "sealed", Source: bthomeIO, MAC: "54:48:E6:8F:80:A5", Service: 0xFCD2, Raw: "41A47266C95F730011223378237214",
		Key: "231d39c1d7cc1ab1aee224cd096db932", Format: "bthome", Want: "temperature=25.06 humidity=50.55", Packet: "00112233"},
	{Name: "sealed, no key", Source: bthomeBLE, MAC: "A4:C1:38:8D:18:B2", Service: 0xFCD2, Raw: "41D2FCEFE52EB212D600112233BC38C966",
		Format: "bthome", Err: noKey},
	{Name: "sealed, another key", Source: bthomeBLE, MAC: "A4:C1:38:8D:18:B2", Service: 0xFCD2, Raw: "41D2FCEFE52EB212D600112233BC38C966",
		Key: "814aac74c4f17b6c1581e1ab87816b99", Format: "bthome", Err: wrongKey},
	{Name: "plain though there is a key", Source: bthomeBLE, Service: 0xFCD2, Raw: "4004138A01",
		Key: "814aac74c4f17b6c1581e1ab87816b99", Format: "bthome", Err: plain},
	{Name: "pressure", Source: bthomeBLE, Service: 0xFCD2, Raw: "4004138A01", Format: "bthome", Want: "pressure=1008.83"},
	{Name: "Shelly BLU H&T", Source: bthomeBLE, Service: 0xFCD2, Raw: "40002E01641E012E34451601", Format: "bthome",
		Want: "battery=100 light=true humidity=52 temperature=27.8", Packet: "2e"},
	{Name: "LYWSDCGQ", Source: xiaomiBLE, MAC: "58:2D:34:35:93:21", Service: 0xFE95, Raw: "5020aa01da219335342d580d1004fe004802",
		Format: "mibeacon", Want: "temperature=25.4 humidity=58.4", Packet: "da"},
	{Name: "LYWSD03MMC, version 3, plain", Source: xiaomiBLE, MAC: "A4:C1:38:B4:94:4C", Service: 0xFE95, Raw: "50305b05034c94b438c1a40d10041001ea01",
		Format: "mibeacon", Want: "temperature=27.2 humidity=49", Packet: "03"},
	{Name: "CGG1", Source: xiaomiBLE, MAC: "5A:58:2D:34:12:5F", Service: 0xFE95, Raw: "5858480b685f12342d585a0b1841e2aa000e00a4964fb5",
		Key: "814aac74c4f17b6c1581e1ab87816b99", Format: "mibeacon", Want: "humidity=59.6", Packet: "68"},
	{Name: "CGDK2", Source: xiaomiBLE, MAC: "58:2D:34:12:20:89", Service: 0xFE95, Raw: "58586f0607892012342d585f176dd54f0200002fa453fa",
		Key: "a3bfe9853dd85a620debe3620caaa351", Format: "mibeacon", Want: "temperature=22.6", Packet: "07"},
	{Name: "LYWSD02MMC", Source: xiaomiBLE, MAC: "A4:C1:38:56:53:84", Service: 0xFE95, Raw: "5858e4162c84535638c1a42b6ef2e91200006c884d9e",
		Key: "a115210eed7a88e50ad52662e732a9fb", Format: "mibeacon", Want: "humidity=58", Packet: "2c"},
	{Name: "LYWSD02MMC without its address", Source: xiaomiBLE, MAC: "A4:C1:38:0E:FD:78", Service: 0xFE95, Raw: "4858422529202d8c7a76b756a82a0078b8224e",
		Key: "19b1c678ab0a8bc3dc77765f059188d4", Format: "mibeacon", Want: "temperature=26.1", Packet: "29"},
	{Name: "LYWSD03MMC, sealed", Source: xiaomiBLE, MAC: "A4:C1:38:02:83:F4", Service: 0xFE95, Raw: "58585b0550f4830238c1a495ef58763c26000097e2abb5",
		Key: "e9ea895fac7cca6d30532432a516f3a8", Format: "mibeacon", Want: "humidity=46.7", Packet: "50"},
	{Name: "LYWSD03MMC, sealed, no key", Source: xiaomiBLE, MAC: "A4:C1:38:02:83:F4", Service: 0xFE95, Raw: "58585b0550f4830238c1a495ef58763c26000097e2abb5",
		Format: "mibeacon", Packet: "50", Err: noKey},
	{Name: "XMWSDJ04MMC", Source: xiaomiBLE, MAC: "2C:11:65:25:70:04", Service: 0xFE95, Raw: "48590312a41b776e7c96add7000000f2bf545b",
		Key: "b2cf9a553d53571b5657defd582d676e", Format: "mibeacon", Want: "humidity=45", Packet: "a4"},
	{Name: "JTYJGD03MI, smoke", Source: xiaomiBLE, MAC: "54:EF:44:E3:9C:BC", Service: 0xFE95, Raw: "5859970966bc9ce344ef5401081205000000715ebe90",
		Key: "5b51a7c91cde6707c9ef18dfda143a58", Format: "mibeacon", Want: "smoke=true", Packet: "66"},
	{Name: "JTYJGD03MI, button", Source: xiaomiBLE, MAC: "54:EF:44:E3:9C:BC", Service: 0xFE95, Raw: "5859970964bc9ce344ef5422206088fd000000003a148fb3",
		Key: "5b51a7c91cde6707c9ef18dfda143a58", Format: "mibeacon", Want: "button=press", Packet: "64"},
	{Name: "HHCCJCY01", Source: xiaomiBLE, MAC: "C4:7C:8D:6B:4F:F3", Service: 0xFE95, Raw: "7120980012f34f6b8d7cc40d041002c400",
		Format: "mibeacon", Want: "temperature=19.6", Packet: "12"},
	{Name: "LYWSD03MMC says only that it is there", Source: xiaomiBLE, MAC: "A4:C1:38:D4:3C:48", Service: 0xFE95, Raw: "30585b0502483cd438c1a408",
		Format: "mibeacon", Packet: "02"},
	{Name: "atc1441", Source: bleMonitor, MAC: "A4:C1:38:02:83:F4", Service: 0x181A, Raw: "a4c1380283f400a22f5f0bf819", Format: "atc",
		Want: "temperature=16.2 humidity=47 battery=95 voltage=3.064", Packet: "19"},
	{Name: "custom", Source: bleMonitor, MAC: "A4:C1:38:02:83:F4", Service: 0x181A, Raw: "f4830238c1a4a9066911b60b58f70d", Format: "pvvx",
		Want: "temperature=17.05 humidity=44.57 voltage=2.998 battery=88", Packet: "f7"},
	{Name: "custom, sealed", Source: bleMonitor, MAC: "A4:C1:38:8D:18:B2", Service: 0x181A, Raw: "11d603fbfa7b6dfb1e26fd",
		Key: "b9ea895fac7eea6d30532432a516f3a3", Format: "pvvx", Want: "temperature=23.45 humidity=41.73 battery=61", Packet: "11"},
	{Name: "custom, sealed, no key", Source: bleMonitor, MAC: "A4:C1:38:8D:18:B2", Service: 0x181A, Raw: "11d603fbfa7b6dfb1e26fd",
		Format: "pvvx", Packet: "11", Err: noKey},
	{Name: "valid data", Source: ruuviDocs, Company: 0x0499, Raw: "0512FC5394C37C0004FFFC040CAC364200CDCBB8334C884F", Format: "ruuvi",
		Want:   "temperature=24.3 humidity=53.49 pressure=1000.44 acceleration_x=0.004 acceleration_y=-0.004 acceleration_z=1.036 movement_counter=66 voltage=2.977 tx_power=4",
		Packet: "00cd"},
	{Name: "maximum values", Source: ruuviDocs, Company: 0x0499, Raw: "057FFFFFFEFFFE7FFF7FFF7FFFFFDEFEFFFECBB8334C884F", Format: "ruuvi",
		Want:   "temperature=163.835 humidity=163.835 pressure=1155.34 acceleration_x=32.767 acceleration_y=32.767 acceleration_z=32.767 movement_counter=254 voltage=3.646 tx_power=20",
		Packet: "fffe"},
	{Name: "minimum values", Source: ruuviDocs, Company: 0x0499, Raw: "058001000000008001800180010000000000CBB8334C884F", Format: "ruuvi",
		Want:   "temperature=-163.835 humidity=0 pressure=500 acceleration_x=-32.767 acceleration_y=-32.767 acceleration_z=-32.767 movement_counter=0 voltage=1.6 tx_power=-40",
		Packet: "0000"},
	{Name: "invalid values", Source: ruuviDocs, Company: 0x0499, Raw: "058000FFFFFFFF800080008000FFFFFFFFFFFFFFFFFFFFFF", Format: "ruuvi"},
	{Name: "TLM", Source: bleMonitor, Service: 0xFEAA, Raw: "20000C6F1E000002006D41DB9AB6", Format: "eddystone",
		Want: "voltage=3.183 temperature=30 advertisements=131181 uptime=110491103", Packet: "0002006d"},
	{Name: "TLM without readings", Source: bleMonitor, Service: 0xFEAA, Raw: "2000000080000002006D41DB9AB6", Format: "eddystone",
		Want: "advertisements=131181 uptime=110491103", Packet: "0002006d"},
	{Name: "UID", Source: "layout of google/eddystone, eddystone-uid", Service: 0xFEAA, Raw: "00EE000102030405060708090A0B0C0D0E0F0000", Format: "eddystone",
		Want: "namespace=00010203040506070809 instance=0a0b0c0d0e0f tx_power=-18"},
	{Name: "iBeacon", Source: bleMonitor, Company: 0x004C, Raw: "0215E2C56DB5DFFB48D2B060D0F5A71096E000640000C5", Format: "ibeacon",
		Want: "uuid=e2c56db5-dffb-48d2-b060-d0f5a71096e0 major=100 minor=0 tx_power=-59"},
}

// Advert is the vector as it is broadcast, and its key.
func (v Vector) Advert() (a Advert, key []byte, err error) {
	a = Advert{MAC: v.MAC, RSSI: -60}
	if a.MAC == "" {
		a.MAC = "C0:FF:EE:00:00:01"
	}
	raw, err := hex.DecodeString(v.Raw)
	if err != nil {
		return a, nil, err
	}
	if v.Service != 0 {
		a.Services = map[string][]byte{fmt.Sprintf("0000%04x-0000-1000-8000-00805f9b34fb", v.Service): raw}
	} else {
		a.Manufacturer = map[uint16][]byte{v.Company: raw}
	}
	if v.Key != "" {
		key, err = hex.DecodeString(v.Key)
	}
	return a, key, err
}
