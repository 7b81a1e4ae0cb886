package gateway

import (
	"fmt"
	"math"
	"os"
	"runtime/debug"

	"edgeshadow/config"
)

// limitMemory tells the runtime the bound of the configuration, below which it
// tries to stay. Without one GOMEMLIMIT counts, as the runtime read it.
func limitMemory(bound config.Size) {
	switch {
	case bound > 0:
		debug.SetMemoryLimit(int64(bound))
	case os.Getenv("GOMEMLIMIT") == "":
		debug.SetMemoryLimit(math.MaxInt64)
	}
}

// resident is the memory that the process holds, in bytes; 0 when it can't be told.
func resident() uint64 {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	var size, pages uint64
	if _, err := fmt.Sscan(string(text), &size, &pages); err != nil {
		return 0
	}
	return pages * uint64(os.Getpagesize())
}
