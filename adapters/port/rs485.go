package port

import (
	"errors"
	"fmt"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// RS485 is how the kernel drives the transceiver of a half-duplex line that
// does not switch by itself (Linux, Documentation/driver-api/serial/serial-rs485).
type RS485 struct {
	RTS       string        `yaml:"rts"`       // level while sending: high (default) or low
	Before    time.Duration `yaml:"before"`    // between the switch and the first bit, whole ms
	After     time.Duration `yaml:"after"`     // between the last bit and the switch back, whole ms
	Receive   bool          `yaml:"receive"`   // hear what is sent
	Terminate bool          `yaml:"terminate"` // switch the termination on, where the board can
}

// Flags of struct serial_rs485 (linux/serial.h).
const (
	tiocsrs485       = 0x542F
	rs485Enabled     = 1 << 0
	rs485RTSOnSend   = 1 << 1
	rs485RTSAfter    = 1 << 2
	rs485RxDuringTx  = 1 << 4
	rs485Terminate   = 1 << 5
	maxRS485Delay    = 100 * time.Millisecond // the kernel's own bound
	rs485Unsupported = "the port's driver can't do RS-485; take rs485 out when its adapter switches by itself"
)

// Validate says what is wrong, by key.
func (r *RS485) Validate(fault func(key, text string)) {
	if r == nil {
		return
	}
	if r.RTS != "" && r.RTS != "high" && r.RTS != "low" {
		fault("rts", fmt.Sprintf("%q is no level: high or low", r.RTS))
	}
	for _, d := range []struct {
		key   string
		value time.Duration
	}{{"before", r.Before}, {"after", r.After}} {
		if d.value < 0 || d.value > maxRS485Delay || d.value%time.Millisecond != 0 {
			fault(d.key, fmt.Sprintf("%s; whole milliseconds from 0 to %s", d.value, maxRS485Delay))
		}
	}
}

// apply sets the port up; nil leaves it as it is.
func (r *RS485) apply(fd int) error {
	if r == nil {
		return nil
	}
	var s struct {
		flags, before, after uint32
		padding              [5]uint32
	}
	s.flags, s.before, s.after = rs485Enabled|rs485RTSOnSend, uint32(r.Before/time.Millisecond), uint32(r.After/time.Millisecond)
	if r.RTS == "low" {
		s.flags = rs485Enabled | rs485RTSAfter
	}
	if r.Receive {
		s.flags |= rs485RxDuringTx
	}
	if r.Terminate {
		s.flags |= rs485Terminate
	}
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), tiocsrs485, uintptr(unsafe.Pointer(&s))); errno != 0 {
		if errno == unix.ENOTTY || errno == unix.EINVAL {
			return errors.New(rs485Unsupported)
		}
		return fmt.Errorf("set up RS-485: %w", errno)
	}
	return nil
}
