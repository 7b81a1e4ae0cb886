package bletest

import (
	"bufio"
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const busConfig = `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path=DIR/bus</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
    <allow user="*"/>
  </policy>
</busconfig>
`

// Bus is a D-Bus of the system that is nobody else's.
type Bus struct {
	Address string // the same after each Start

	tb     testing.TB
	daemon string // the program
	config string
	cmd    *exec.Cmd // nil: it does not run
}

// MustBus starts a bus and makes it that of the system for this process; it ends
// with the test.
func MustBus(tb testing.TB) *Bus {
	tb.Helper()
	daemon, err := exec.LookPath("dbus-daemon")
	if err != nil {
		tb.Skip("needs dbus-daemon: apt-get install dbus")
	}
	dir, err := os.MkdirTemp("", "bus") // short: the path of a socket has 107 bytes
	if err != nil {
		tb.Fatal(err)
	}
	b := &Bus{Address: "unix:path=" + filepath.Join(dir, "bus"), tb: tb, daemon: daemon, config: filepath.Join(dir, "bus.conf")}
	tb.Cleanup(func() {
		b.Stop()
		_ = os.RemoveAll(dir)
	})
	if err := os.WriteFile(b.config, []byte(strings.Replace(busConfig, "DIR", dir, 1)), 0o600); err != nil {
		tb.Fatal(err)
	}
	b.Start()
	tb.Setenv("DBUS_SYSTEM_BUS_ADDRESS", b.Address)
	return b
}

// Start starts the bus, on which is nobody yet.
func (b *Bus) Start() {
	b.tb.Helper()
	cmd := exec.Command(b.daemon, "--config-file="+b.config, "--nofork", "--print-address=1")
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		b.tb.Fatal(err)
	}
	b.cmd = cmd
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		b.Stop()
		b.tb.Fatalf("dbus-daemon tells no address: %v\n%s", err, said.String())
	}
}

// Stop kills the bus, for a test of what happens then.
func (b *Bus) Stop() {
	if b.cmd == nil {
		return
	}
	_ = b.cmd.Process.Kill()
	_ = b.cmd.Wait() // it was killed
	b.cmd = nil
}
