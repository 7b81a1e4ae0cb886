package bench_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"edgeshadow/localshadow"
	"edgeshadow/localshadow/shadow"
	"edgeshadow/test/modbustest"
)

// L21, L22: BenchmarkDaemon runs the real binary with one Modbus bus and reports what an
// idle gateway costs, with an empty store and with one of 10,000 shadows of 2 KB:
//
//	boot-ms     from its start to the CONNACK of its listener, without a network
//	idle-KiB    resident memory, some seconds later
//	idle-cpu-%  of one core, over the rest of the time
func BenchmarkDaemon(b *testing.B) {
	binary := mustBuild(b)
	for _, shadows := range []int{0, 10_000} {
		b.Run(fmt.Sprintf("shadows=%d", shadows), func(b *testing.B) {
			plc := modbustest.New()
			plc.SetInput(1, 0, 200)
			plc.SetDiscrete(1, 4, true)
			if err := plc.Listen("127.0.0.1:0"); err != nil {
				b.Fatal(err)
			}
			defer plc.Close()
			dir := b.TempDir()
			mustFill(b, filepath.Join(dir, "data"), shadows)
			address := mustConfigure(b, dir, plc.Addr())
			for b.Loop() {
				d := mustStart(b, binary, dir)
				began := time.Now()
				mustAnswer(b, address)
				boot := time.Since(began)
				const settle, measure = 3 * time.Second, 10 * time.Second
				time.Sleep(settle)
				before := d.cpu(b)
				time.Sleep(measure)
				b.ReportMetric(float64(boot.Milliseconds()), "boot-ms")
				b.ReportMetric(d.resident(b), "idle-KiB")
				b.ReportMetric(100*(d.cpu(b)-before).Seconds()/measure.Seconds(), "idle-cpu-%")
				d.stop(b)
			}
			b.ReportMetric(0, "ns/op") // it is the sleeps' length
		})
	}
}

// mustBuild builds the binary as a package has it.
func mustBuild(b *testing.B) string {
	b.Helper()
	binary := filepath.Join(b.TempDir(), "edgeshadow")
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", binary, "../../cmd/edgeshadow")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		b.Fatalf("build: %v\n%s", err, out)
	}
	return binary
}

func mustFill(b *testing.B, path string, shadows int) {
	b.Helper()
	store, err := localshadow.OpenStore(localshadow.Config{Path: path, Durability: localshadow.OneSecond}, nil)
	if err != nil {
		b.Fatal(err)
	}
	service := localshadow.NewService(store, nil)
	payload := []byte(`{"state":{"reported":{"text":"` + strings.Repeat("x", 2000) + `"}}}`)
	for i := range shadows {
		if _, err := service.Update(context.Background(), shadow.ID{Thing: fmt.Sprintf("thing-%05d", i)}, payload); err != nil {
			b.Fatal(err)
		}
	}
	if err := store.Close(); err != nil {
		b.Fatal(err)
	}
}

// mustConfigure writes a configuration and returns its listener's address.
func mustConfigure(b *testing.B, dir, plc string) string {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil {
		b.Fatal(err)
	}
	text := fmt.Sprintf(`config_version: 1
store: {path: %s}
broker: {listeners: [{address: "%s"}]}
buses: {plc: {type: modbus-tcp, host: "%s"}}
things:
  boiler:
    bus: plc
    every: 1s
    points:
      water: {at: "input:0", type: int16, scale: 0.1}
      burner: {at: "discrete:4"}
`, filepath.Join(dir, "data"), address, plc)
	if err := os.WriteFile(filepath.Join(dir, "edgeshadow.yaml"), []byte(text), 0o644); err != nil {
		b.Fatal(err)
	}
	return address
}

type daemon struct {
	cmd *exec.Cmd
	log *bytes.Buffer
}

func mustStart(b *testing.B, binary, dir string) daemon {
	b.Helper()
	d := daemon{exec.Command(binary, "run", "-c", filepath.Join(dir, "edgeshadow.yaml")), &bytes.Buffer{}}
	d.cmd.Env = append(os.Environ(), "EDGESHADOW_SOCKET="+filepath.Join(dir, "api.sock"))
	d.cmd.Stderr = d.log
	if err := d.cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = d.cmd.Process.Kill() }) // it has ended, if all went well
	return d
}

// mustAnswer connects, again and again, until there is a CONNACK.
func mustAnswer(b *testing.B, address string) {
	b.Helper()
	connect := []byte{0x10, 13, 0, 4, 'M', 'Q', 'T', 'T', 4, 2, 0, 0, 0, 1, 'c'}
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		c, err := net.Dial("tcp", address)
		if err != nil {
			continue
		}
		_, err = c.Write(connect)
		answer := make([]byte, 4)
		if err == nil {
			_, err = c.Read(answer)
		}
		_ = c.Close()
		if err == nil && answer[0] == 0x20 {
			return
		}
	}
	b.Fatal("no CONNACK in a minute")
}

// stat reads a file of the process below /proc.
func (d daemon) stat(b *testing.B, name string) string {
	b.Helper()
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(d.cmd.Process.Pid), name))
	if err != nil {
		b.Fatalf("%v\n%s", err, d.log)
	}
	return string(text)
}

// resident is VmRSS in KiB (proc(5)).
func (d daemon) resident(b *testing.B) float64 {
	b.Helper()
	_, rest, _ := strings.Cut(d.stat(b, "status"), "VmRSS:")
	n, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
	if err != nil {
		b.Fatal(err)
	}
	return n
}

// cpu is the time that the process has had, in ticks of 10 ms (proc(5)).
func (d daemon) cpu(b *testing.B) time.Duration {
	b.Helper()
	text := d.stat(b, "stat")
	fields := strings.Fields(text[strings.LastIndexByte(text, ')'):])
	var ticks int
	for _, i := range []int{12, 13} { // utime, stime
		n, err := strconv.Atoi(fields[i])
		if err != nil {
			b.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

func (d daemon) stop(b *testing.B) {
	b.Helper()
	if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		b.Fatal(err)
	}
	if err := d.cmd.Wait(); err != nil {
		b.Fatalf("%v\n%s", err, d.log)
	}
}
