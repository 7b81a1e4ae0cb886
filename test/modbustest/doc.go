// Package modbustest is a Modbus server, over TCP and on a line, to test and to
// play with: a stand-in for a PLC or a bus of devices, written from the specification (Modbus Application Protocol
// V1.1b3, Modbus Messaging on TCP/IP V1.0b) and independent of the client that
// the gateway uses.
//
// A Server holds units, a unit holds four sparse tables. What was never set
// does not exist: a request that touches it gets exception 2, and a unit of
// which nothing was set is silent, as one that is not on the line behind a
// converter. Knobs make the server, or one unit, or one address, behave badly;
// awaits wait for what a client does. All methods may be called at any time
// and from many goroutines.
package modbustest
