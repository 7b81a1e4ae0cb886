package clocktest

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"
)

const symbol = "__vdso_clock_gettime"

// code is clock_gettime by the system call; to CLOCK_REALTIME it adds the seconds
// that stand behind it.
var code = []byte{
	0xb8, 0xe4, 0x00, 0x00, 0x00, // mov eax, 228
	0x0f, 0x05, // syscall
	0x85, 0xff, // test edi, edi
	0x75, 0x0a, // jne to ret
	0x48, 0x8b, 0x0d, 0x06, 0x00, 0x00, 0x00, // mov rcx, [rip+6]
	0x48, 0x01, 0x0e, // add [rsi], rcx
	0xc3,       // ret
	0x90, 0x90, // so that the seconds are aligned
}

// Start is cmd.Start, with a clock that is off by so much from the beginning.
func Start(cmd *exec.Cmd, by time.Duration) (*Clock, error) {
	runtime.LockOSThread() // who traces is a thread
	defer runtime.UnlockOSThread()
	cmd.SysProcAttr = &syscall.SysProcAttr{Ptrace: true}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	pid := cmd.Process.Pid
	var status syscall.WaitStatus
	_, err := syscall.Wait4(pid, &status, 0, nil)
	var c *Clock
	if err == nil {
		c, err = replace(pid, by)
	}
	if err = errors.Join(err, syscall.PtraceDetach(pid)); err != nil {
		return nil, errors.Join(fmt.Errorf("replace the clock of %s: %w", cmd.Path, err), cmd.Process.Kill(), cmd.Wait())
	}
	return c, nil
}

// replace changes a process that has not begun yet.
func replace(pid int, by time.Duration) (*Clock, error) {
	at, err := find(pid)
	if err != nil {
		return nil, err
	}
	c := &Clock{pid, at + int64(len(code))}
	return c, errors.Join(write(pid, at, code), c.Shift(by))
}

// find is the address of the function in a process.
func find(pid int) (int64, error) {
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(maps)) {
		var from, to int64
		if _, err := fmt.Sscanf(line, "%x-%x", &from, &to); err != nil || !strings.HasSuffix(line, "[vdso]\n") {
			continue
		}
		f, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
		if err != nil {
			return 0, err
		}
		defer f.Close()
		image := make([]byte, to-from)
		if _, err := f.ReadAt(image, from); err != nil {
			return 0, err
		}
		library, err := elf.NewFile(bytes.NewReader(image))
		if err != nil {
			return 0, err
		}
		symbols, err := library.DynamicSymbols()
		if err != nil {
			return 0, err
		}
		for _, s := range symbols {
			if s.Name == symbol && s.Value%8 == 0 && s.Size >= uint64(len(code)+8) {
				return from + int64(s.Value), nil
			}
		}
	}
	return 0, fmt.Errorf("the kernel maps no %s that could be replaced", symbol)
}
