package bench_test

import (
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"testing"

	"edgeshadow/localshadow"
)

// BenchmarkIdleClients is the resident memory of 1,000 clients that are
// connected over plain TCP with one subscription, and silent, from a bare mochi
// and from the gateway. The generator's half, some KiB, is in both.
func BenchmarkIdleClients(b *testing.B) {
	const clients = 1000
	measure := func(b *testing.B, addr string) {
		before := resident(b)
		for i := range clients {
			mustDial(b, addr, fmt.Sprintf("idle-%d", i), "none", fmt.Sprintf("dt/%d", i), nil)
		}
		b.ReportMetric(float64(resident(b)-before)/clients, "KiB/client")
		b.ReportMetric(0, "ns/op") // it is the connecting
	}
	b.Run("bare", func(b *testing.B) {
		for b.Loop() {
			server, addr := mustServeBare(b, &plain{})
			measure(b, addr)
			server.Close()
		}
	})
	b.Run("gateway", func(b *testing.B) {
		for b.Loop() {
			measure(b, mustServe(b, localshadow.Sync).addr)
		}
	})
}

// resident is what this process has in memory, in KiB, garbage collected.
func resident(b *testing.B) int {
	b.Helper()
	debug.FreeOSMemory()
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		b.Skipf("reads /proc/self/status, of Linux: %v", err)
	}
	for line := range strings.Lines(string(text)) {
		var n int
		if _, err := fmt.Sscanf(line, "VmRSS: %d kB", &n); err == nil {
			return n
		}
	}
	b.Fatal("no VmRSS in /proc/self/status")
	return 0
}
