package modbus_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"edgeshadow/adapters"
	"edgeshadow/adapters/modbus"
	"edgeshadow/adapters/port"
)

// program starts a program that ends with the test, and returns what kills it.
func program(tb testing.TB, name string, args ...string) (kill func()) {
	tb.Helper()
	cmd := exec.Command(name, args...)
	cmd.Stdout, cmd.Stderr = tb.Output(), tb.Output()
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	killed := false
	kill = func() {
		if !killed {
			killed = true
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	}
	tb.Cleanup(kill)
	return kill
}

// MustPython is a Python that has pymodbus with its server.
func MustPython(tb testing.TB) string {
	tb.Helper()
	for _, python := range []string{"python3", "/usr/bin/python3"} {
		if exec.Command(python, "-c", "import pymodbus.server, serial_asyncio").Run() == nil {
			return python
		}
	}
	tb.Skip("a test that needs pymodbus: apt-get install python3-pymodbus python3-serial-asyncio")
	return ""
}

// MustLibmodbus is the server of libmodbus, compiled.
func MustLibmodbus(tb testing.TB) string {
	tb.Helper()
	server := filepath.Join(tb.TempDir(), "server")
	if out, err := exec.Command("cc", "-o", server, "testdata/libmodbus_server.c", "-lmodbus").CombinedOutput(); err != nil {
		tb.Skipf("a test that needs a C compiler and libmodbus: apt-get install gcc libc6-dev libmodbus-dev (%v: %.200s)", err, out)
	}
	return server
}

// freePort is a port that nobody listens on now.
func freePort(tb testing.TB) int {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// cable is a line between two programs, by socat.
type cable struct {
	ours, theirs string
	pull         func()
}

func MustCable(tb testing.TB, dir string) cable {
	tb.Helper()
	socat, err := exec.LookPath("socat")
	if err != nil {
		tb.Skip("a test that needs socat: apt-get install socat")
	}
	c := cable{ours: filepath.Join(dir, "ours"), theirs: filepath.Join(dir, "theirs")}
	kill := program(tb, socat, "pty,raw,echo=0,link="+c.ours, "pty,raw,echo=0,link="+c.theirs)
	c.pull = func() {
		kill()
		// A link that stays would lead to whatever pty has the number next.
		_, _ = os.Remove(c.ours), os.Remove(c.theirs)
	}
	deadline := time.Now().Add(patience)
	for _, end := range []string{c.ours, c.theirs} {
		for {
			if _, err := os.Stat(end); err == nil {
				break
			}
			if time.Now().After(deadline) {
				tb.Fatalf("socat makes no %s", end)
			}
			time.Sleep(5 * time.Millisecond)
		}
	}
	return c
}

// server is one that somebody else wrote; start starts it, and again after kill.
type server struct {
	buses modbus.Buses
	start func() (kill func())
}

func onLine(path string) modbus.Buses {
	return modbus.Buses{"plc": {
		Type: modbus.RTU, Port: path, Line: port.Line{Baud: 115200, Bits: 8, Parity: 'N', Stop: 1}, Timeout: 300 * time.Millisecond, Gap: milliseconds(4),
	}}
}

// TestServers: the boiler at servers of other people's, over each way: its
// values are there, what is desired arrives, clamped, and comes back; killed it
// is marked and keeps its values; started again it is whole.
func TestServers(t *testing.T) {
	for name, make := range map[string]func(t *testing.T) server{
		"PymodbusTCP": func(t *testing.T) server {
			python, n := MustPython(t), freePort(t)
			return server{
				modbus.Buses{"plc": {Type: modbus.TCP, Host: fmt.Sprint("127.0.0.1:", n), Timeout: 500 * time.Millisecond}},
				func() func() { return program(t, python, "testdata/pymodbus_server.py", "tcp", strconv.Itoa(n)) },
			}
		},
		"PymodbusRTUoverTCP": func(t *testing.T) server {
			python, n := MustPython(t), freePort(t)
			return server{
				modbus.Buses{"plc": {Type: modbus.RTUTCP, Host: fmt.Sprint("127.0.0.1:", n), Timeout: 500 * time.Millisecond}},
				func() func() { return program(t, python, "testdata/pymodbus_server.py", "rtutcp", strconv.Itoa(n)) },
			}
		},
		"PymodbusRTU": func(t *testing.T) server {
			python, dir := MustPython(t), t.TempDir()
			return server{onLine(filepath.Join(dir, "ours")), func() func() {
				c := MustCable(t, dir)
				kill := program(t, python, "testdata/pymodbus_server.py", "rtu", c.theirs)
				return func() { c.pull(); kill() }
			}}
		},
		"LibmodbusTCP": func(t *testing.T) server {
			bin, n := MustLibmodbus(t), freePort(t)
			return server{
				modbus.Buses{"plc": {Type: modbus.TCP, Host: fmt.Sprint("127.0.0.1:", n), Timeout: 500 * time.Millisecond}},
				func() func() { return program(t, bin, "tcp", strconv.Itoa(n)) },
			}
		},
		"LibmodbusRTU": func(t *testing.T) server {
			bin, dir := MustLibmodbus(t), t.TempDir()
			return server{onLine(filepath.Join(dir, "ours")), func() func() {
				c := MustCable(t, dir)
				kill := program(t, bin, "rtu", c.theirs)
				return func() { c.pull(); kill() }
			}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			checkServer(t, make(t))
		})
	}
}

func checkServer(t *testing.T, theirs server) {
	kill := theirs.start()
	s := MustRun(t, theirs.buses, boiler())
	want := map[string]any{"water": num("21.5"), "burner": true, "energy": num("123"), "setpoint": num("40"), "pump": false}
	values := func(doc map[string]any) bool {
		for path, v := range want {
			if doc[path] != v {
				return false
			}
		}
		return true
	}
	s.Await(t, "boiler", "", fmt.Sprint(want), values)

	register := func(addr uint16) uint16 {
		t.Helper()
		words, err := s.buses["plc"].Exchange(t.Context(), modbus.Request{Unit: 1, Table: "holding", Addr: addr, Count: 1})
		if err != nil {
			t.Fatal(err)
		}
		return words[0]
	}
	s.Actuate("boiler", "", map[string]any{"setpoint": num("55.5"), "pump": true})
	want["setpoint"], want["pump"] = num("55.5"), true
	s.Await(t, "boiler", "", fmt.Sprint(want), values)
	if got := register(11); got != 555 {
		t.Errorf("the register holds %d after 55.5 was desired", got)
	}
	s.Actuate("boiler", "", map[string]any{"setpoint": num("95"), "pump": true})
	want["setpoint"] = num("80")
	s.Await(t, "boiler", "", fmt.Sprint(want), values)
	if got := register(11); got != 800 {
		t.Errorf("the register holds %d after 95 was desired, want the maximum", got)
	}

	kill()
	s.AwaitOnline(t, "boiler", false)
	if got := s.Get("boiler", ""); !values(got) {
		t.Errorf("while it is dead: %v, want the last good values %v", got, want)
	}
	theirs.start()
	s.AwaitOnline(t, "boiler", true)
	// It starts with its first values, and what is desired is written anew.
	s.Await(t, "boiler", "", fmt.Sprint(want), values)
	s.Await(t, "boiler", adapters.ConnectivityShadow, "no point that is not good but the clamped one", func(doc map[string]any) bool {
		q, _ := doc["quality"].(map[string]any)
		return len(q) == 1 && q["setpoint"] == "clamped"
	})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	words, err := s.buses["plc"].Exchange(ctx, modbus.Request{Unit: 1, Table: "holding", Addr: 11, Count: 1})
	if err != nil || words[0] != 800 {
		t.Errorf("the register of the server that came back holds %v, %v; want 800", words, err)
	}
}
