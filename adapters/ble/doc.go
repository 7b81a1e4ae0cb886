// Package ble is the driver of Bluetooth LE devices, over BlueZ (bluetoothd) and
// the D-Bus of the system. Package advert decodes what devices broadcast.
//
// One Driver owns all adapters. It keeps one discovery running on each for as
// long as it runs: passive where bluetoothd offers it and nothing needs more,
// else active. Devices are connected to only when their section asks for
// characteristics.
//
// What hangs is made to go on, in steps (radio.go): an adapter that hears
// nothing for a while is told to discover anew, then it is switched off and on,
// and then the operator is told; bluetoothd is waited for when it is gone, and
// all is set up again when it is back. How many advertisements a minute each
// adapter hears stands in Stats.
//
// # Values
//
// A device's values are learned from what it broadcasts. A packet that is heard
// again counts as a sign of life and as nothing else. What happened (button,
// dimmer) has a counter beside it (button_count), since a second press says the
// same as the first. What changes with each advertisement (rssi, uptime,
// advertisements, tx_power, device_type) is reported only when points names it.
package ble
