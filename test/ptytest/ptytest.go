// Package ptytest is a serial line without hardware: a pseudo terminal whose
// far end a test holds, and whose plug it can pull.
package ptytest

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// Line is one line. What the port under test sends is read from it, and the
// other way round. Read and Write fail while it is unplugged.
type Line struct {
	path string // stays the same over a re-plug, as /dev/serial/by-id does

	mu     sync.Mutex
	master *os.File // nil: unplugged
	slave  *os.File // held so that the line outlives who opens and closes it
}

// MustOpen is a line that is plugged in; it ends with the test.
func MustOpen(tb testing.TB) *Line {
	tb.Helper()
	l := &Line{path: filepath.Join(tb.TempDir(), "tty")}
	if err := l.Plug(); err != nil {
		tb.Skipf("a test that needs pseudo terminals (/dev/ptmx): %v", err)
	}
	tb.Cleanup(l.Unplug)
	return l
}

// Path is the port's, for the program under test.
func (l *Line) Path() string { return l.path }

// Plug brings the port back, as another device under the same path.
func (l *Line) Plug() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.master != nil {
		return nil
	}
	// Non-blocking, so that Close ends a Read.
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return fmt.Errorf("open /dev/ptmx: %w", err)
	}
	master := os.NewFile(uintptr(fd), "/dev/ptmx")
	slave, err := link(fd, l.path)
	if err != nil {
		_ = master.Close()
		return err
	}
	l.master, l.slave = master, slave
	return nil
}

// link unlocks the other end, makes it transparent and links it to path.
func link(fd int, path string) (*os.File, error) {
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		return nil, fmt.Errorf("unlock the pty: %w", err)
	}
	n, err := unix.IoctlGetUint32(fd, unix.TIOCGPTN)
	if err != nil {
		return nil, fmt.Errorf("find the pty: %w", err)
	}
	name := fmt.Sprintf("/dev/pts/%d", n)
	slave, err := os.OpenFile(name, os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	raw := unix.Termios{Cflag: unix.CREAD | unix.CLOCAL | unix.CS8 | unix.B115200}
	raw.Cc[unix.VMIN] = 1
	if err = unix.IoctlSetTermios(int(slave.Fd()), unix.TCSETS, &raw); err == nil {
		err = os.Symlink(name, path)
	}
	if err != nil {
		_ = slave.Close()
		return nil, err
	}
	return slave, nil
}

// Unplug pulls the plug: who has the port open sees a hang-up, and the path is
// gone.
func (l *Line) Unplug() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.master == nil {
		return
	}
	_ = os.Remove(l.path)
	_ = l.master.Close()
	_ = l.slave.Close()
	l.master, l.slave = nil, nil
}

func (l *Line) end() (*os.File, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.master == nil {
		return nil, os.ErrClosed
	}
	return l.master, nil
}

// Read reads what the port sent.
func (l *Line) Read(to []byte) (int, error) {
	f, err := l.end()
	if err != nil {
		return 0, err
	}
	return f.Read(to)
}

// Write sends to the port.
func (l *Line) Write(data []byte) (int, error) {
	f, err := l.end()
	if err != nil {
		return 0, err
	}
	return f.Write(data)
}
