// Package serial is the driver of serial lines on which devices speak for
// themselves: scales, meters, receivers, weather stations. What a device sends
// is described and not programmed:
//
//	framing     where a frame begins and ends     end, start + end, length, fixed, idle
//	integrity   how a damaged frame is told       none xor sum8 crc8 crc16-modbus crc16-ccitt nmea
//	extraction  what of it are values             parse, csv, json, nmea, binary
//	polling     what to ask, how often            poll
//	commands    what desired values become        commands
//
// One goroutine, Run, owns a port. Several things may share it when their
// frames are told apart, by parse or by match. The port is opened again whenever
// it hangs up or fails, under its stable name: a plug that is pulled and put
// back needs nobody.
//
// # Frames
//
// With end (and start), a frame is what stands between them. With length or
// fixed it is all of the bytes, a start among them, and offsets count from its
// first. Without a frame section frames are lines: they end with a line feed,
// and a carriage return before it is dropped. After the port is opened in the
// middle of a frame, that frame is dropped.
//
// # Checks
//
//	xor            of all bytes, one byte                     123456789 gives 31
//	sum8           of all bytes modulo 256, one byte          123456789 gives dd
//	crc8           polynomial 07, initial value 0             123456789 gives f4
//	crc16-modbus   polynomial 8005 reflected, low byte first  123456789 gives 4b37
//	crc16-ccitt    polynomial 1021, initial value ffff, high byte first (CCITT-FALSE)   123456789 gives 29b1
//	nmea           the xor in hexadecimal behind an asterisk
//
// A check stands at the end of its frame, or behind its end marker (behind:
// true), which it then covers: STX … ETX BCC.
package serial
