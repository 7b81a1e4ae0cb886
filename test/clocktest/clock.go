// Package clocktest runs a program of its own process whose wall clock a test
// moves while it runs; the monotonic one goes on. A Go program asks neither the C
// library nor an environment variable for the time: it calls a function that the
// kernel has mapped into it, and that function is what is replaced here, before
// the program's first instruction. Linux on amd64 only.
package clocktest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"testing"
	"time"
)

// Clock is the wall clock of a process. Its methods may be called from many
// goroutines.
type Clock struct {
	pid int
	at  int64 // of the seconds that are added
}

// Shift makes the process see a time so far from the machine's, whole seconds.
func (c *Clock) Shift(by time.Duration) error {
	return write(c.pid, c.at, binary.NativeEndian.AppendUint64(nil, uint64(by/time.Second)))
}

// MustStart is Start; where that is not possible the test is skipped.
func MustStart(tb testing.TB, cmd *exec.Cmd, by time.Duration) *Clock {
	tb.Helper()
	c, err := Start(cmd, by)
	if errors.Is(err, errors.ErrUnsupported) || errors.Is(err, fs.ErrPermission) {
		tb.Skipf("want Linux on amd64, and leave to trace a child (in a container CAP_SYS_PTRACE): %v", err)
	}
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

// write changes the memory of a process, whatever its protection.
func write(pid int, at int64, data []byte) error {
	f, err := os.OpenFile(fmt.Sprintf("/proc/%d/mem", pid), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.WriteAt(data, at)
	return err
}
