// Package advert decodes Bluetooth LE advertisements. It is pure: no radio, no
// clock. Decode takes the data that a device broadcast and gives Frames, one for
// each format that it speaks; what a format holds stands in tables.
//
//	format     where                    source
//	bthome     service fcd2             BTHome v2, bthome.io/format, plain and encrypted
//	atc        service 181a, 13 bytes   ATC_MiThermometer (atc1441)
//	pvvx       service 181a             ATC_MiThermometer (pvvx), custom format; encrypted: custom and atc1441
//	mibeacon   service fe95             Xiaomi MiBeacon, plain, and encrypted in version 4 and 5
//	ruuvi      manufacturer 0499        Ruuvi data format 5 (RAWv2)
//	ibeacon    manufacturer 004c        Apple, Proximity Beacon Specification
//	eddystone  service feaa             Google, Eddystone UID and TLM
//
// Values are called as BTHome calls them, in BTHome's units: temperature in °C,
// humidity, moisture and battery in %, pressure in hPa, voltage in V, and so on.
// The second value of a name in one frame gets _2 at its end.
package advert
