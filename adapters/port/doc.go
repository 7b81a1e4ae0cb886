// Package port opens serial ports: tarm/serial for the line's settings, with
// what it lacks around it. It finds a port by its path, by-id link or USB
// identity, keeps it for itself (flock, TIOCEXCL), waits in milliseconds where
// tarm waits in tenths of a second, tells a hang-up (the plug was pulled) from
// silence, and sets up RS-485 in the kernel. Drivers of lines build on it.
//
// A Port is used by one goroutine at a time.
package port
