// Package bletest is a Bluetooth adapter without hardware: bluetoothd as its
// clients see it, on a D-Bus of its own. Peripherals broadcast what a test has
// them broadcast, and can be connected to; the adapter and the daemon hang, go
// and come back when a knob is turned.
//
// It needs dbus-daemon (Debian: dbus); without it a test is skipped.
package bletest
