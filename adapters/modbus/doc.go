// Package modbus is the driver of a Modbus bus: Modbus TCP, RTU on a serial
// line, and RTU over TCP. The protocol is goburrow/modbus (packager and client);
// the transport under it is ours, since goburrow's does not reconnect, is out of
// step for ever after a late answer, and spins when a serial port hangs up.
//
// A Bus has units (devices), a unit has points. One goroutine, Run, owns the
// bus and does one request at a time over one link, which all its units share:
// writes first, then what a tool asks, then what reads writes back, then polls
// that are due, then probes of units that were given up (bus.go). Points that
// are due together are read together, in as few requests as gap and length
// limits allow; addresses that a unit does not have are found by halving, and
// remembered (plan.go). A unit that does not answer is given up after two
// timeouts, one when it was never heard, and probed after 0.5 s, 1 s, … 60 s;
// while another unit answers, probes take a twentieth of the time at most
// (breaker.go). An exception is an answer and no failure of the link.
//
// Frames of TCP are told apart by their transaction (session.go); on a line the
// answer is looked for behind whatever else is heard, by unit, function, length
// and CRC, and a unit that may still answer late is not asked again before that
// (rtu.go). What was heard and nobody waited for is counted.
//
// # Orders
//
// A value of more than one register, or of part of one, lies in its registers
// as order says. A is the most significant byte of the value; registers are
// sent high byte first.
//
//	order  16 bits  32 bits    64 bits              string   int8, uint8
//	ABCD   AB       AB CD      AB CD EF GH          ab cd    low byte
//	CDAB   AB       CD AB      GH EF CD AB          –        low byte
//	BADC   BA       BA DC      BA DC FE HG          ba dc    high byte
//	DCBA   BA       DC BA      HG FE DC BA          –        high byte
//
// # Addresses
//
// holding:11 is the address on the wire, from zero. 40012 is the number that
// the device's document gives for the same register, from one, with the table
// in front: 0 coil, 1 discrete, 3 input, 4 holding; 5 or 6 digits.
package modbus
