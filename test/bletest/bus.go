package bletest

import (
	"bufio"
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

const busConfig = `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:dir=DIR</listen>
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
	Address string
	stop    func()
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
	config := filepath.Join(dir, "bus.conf")
	if err := os.WriteFile(config, []byte(strings.Replace(busConfig, "DIR", dir, 1)), 0o600); err != nil {
		tb.Fatal(err)
	}
	cmd := exec.Command(daemon, "--config-file="+config, "--nofork", "--print-address=1")
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		tb.Fatal(err)
	}
	b := &Bus{stop: sync.OnceFunc(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
		_ = os.RemoveAll(dir)
	})}
	tb.Cleanup(b.stop)
	address, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		b.stop()
		tb.Fatalf("dbus-daemon tells no address: %v\n%s", err, said.String())
	}
	b.Address = strings.TrimSpace(address)
	tb.Setenv("DBUS_SYSTEM_BUS_ADDRESS", b.Address)
	return b
}

// Stop ends the bus, for a test of what happens then.
func (b *Bus) Stop() { b.stop() }
