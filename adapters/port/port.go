package port

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/tarm/serial"
	"golang.org/x/sys/unix"
)

var (
	// ErrHungUp is for a port whose device is gone: Close it, and Open it when
	// it is back.
	ErrHungUp = errors.New("the port hung up: its device was unplugged")
	// ErrBusy is for a port that another program uses.
	ErrBusy = errors.New("another program uses the port")
)

// instantEOF is the time within which tarm's end of file means a hang-up: its
// own timeout, an end of file too, is a tenth of a second and more.
const instantEOF = 50 * time.Millisecond

// Port is an open serial port.
type Port struct {
	path    string // of the device, links followed
	control *os.File
	serial  *serial.Port
}

// Open opens a port by its name (Resolve) and makes it nobody else's. rs485 may
// be nil.
func Open(name string, line Line, rs485 *RS485) (_ *Port, err error) {
	path, err := Resolve(name)
	if err != nil {
		return nil, err
	}
	// Of two that race for a port one gets the lock; TIOCEXCL keeps out those
	// that do not lock.
	control, err := os.OpenFile(path, os.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, openError(path, err)
	}
	defer func() {
		if err != nil {
			_ = control.Close()
		}
	}()
	fd := int(control.Fd())
	if err := unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, fmt.Errorf("open %s: %w", path, ErrBusy)
	}
	s, err := serial.OpenPort(&serial.Config{
		Name: path, Baud: line.Baud, Size: byte(line.Bits), Parity: serial.Parity(line.Parity), StopBits: serial.StopBits(line.Stop),
		// Read is called when something is there; this bounds it all the same.
		ReadTimeout: 100 * time.Millisecond,
	})
	if err != nil {
		return nil, openError(path, err)
	}
	if err = unix.IoctlSetInt(fd, unix.TIOCEXCL, 0); err == nil {
		err = rs485.apply(fd)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open %s: %w", path, err), s.Close())
	}
	return &Port{path: path, control: control, serial: s}, nil
}

// openError says what the operator can do.
func openError(path string, err error) error {
	switch {
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("open %s: no permission; the user needs the group dialout", path)
	case errors.Is(err, unix.EBUSY):
		return fmt.Errorf("open %s: %w", path, ErrBusy)
	case errors.Is(err, unix.ENOTTY):
		return fmt.Errorf("open %s: it is no serial port", path)
	}
	return fmt.Errorf("open %s: %w", path, bare(err))
}

// bare is err without the path that the message has already.
func bare(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// Path is the device that was opened.
func (p *Port) Path() string { return p.path }

// Read reads what is there, waiting for it up to timeout. Silence is
// os.ErrDeadlineExceeded, a pulled plug ErrHungUp.
func (p *Port) Read(to []byte, timeout time.Duration) (int, error) {
	if err := p.wait(unix.POLLIN, timeout); err != nil {
		return 0, err
	}
	began := time.Now()
	n, err := p.serial.Read(to)
	switch {
	case n > 0:
		return n, nil
	case errors.Is(err, io.EOF) && time.Since(began) >= instantEOF:
		return 0, os.ErrDeadlineExceeded
	case errors.Is(err, io.EOF), errors.Is(err, unix.EIO), errors.Is(err, unix.ENXIO), errors.Is(err, unix.ENODEV):
		return 0, ErrHungUp
	}
	return 0, err
}

// Write sends all of frame, or fails: a port that takes nothing for timeout is
// os.ErrDeadlineExceeded.
func (p *Port) Write(frame []byte, timeout time.Duration) error {
	if err := p.wait(unix.POLLOUT, timeout); err != nil {
		return err
	}
	_, err := p.serial.Write(frame)
	if errors.Is(err, unix.EIO) || errors.Is(err, unix.ENXIO) || errors.Is(err, unix.ENODEV) {
		return ErrHungUp
	}
	return err
}

// wait waits until the port is ready for what events says.
func (p *Port) wait(events int16, timeout time.Duration) error {
	deadline := time.Now().Add(timeout)
	for {
		fds := []unix.PollFd{{Fd: int32(p.control.Fd()), Events: events}}
		// Rounded up: a wait of less than a millisecond must not spin.
		left := (max(0, time.Until(deadline)) + time.Millisecond - 1) / time.Millisecond
		n, err := unix.Poll(fds, int(left))
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return fmt.Errorf("wait for %s: %w", p.path, err)
		case n == 0:
			return os.ErrDeadlineExceeded
		case fds[0].Revents&(unix.POLLHUP|unix.POLLERR|unix.POLLNVAL) != 0:
			return ErrHungUp
		}
		return nil
	}
}

// Flush drops what was received and not read, and what was not sent.
func (p *Port) Flush() error {
	err := p.serial.Flush()
	if errors.Is(err, unix.EIO) {
		return ErrHungUp
	}
	return err
}

// Close gives the port back.
func (p *Port) Close() error {
	_ = unix.IoctlSetInt(int(p.control.Fd()), unix.TIOCNXCL, 0) // a port that is gone has no flag
	return errors.Join(p.serial.Close(), p.control.Close())
}
