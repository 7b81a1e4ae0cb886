package gateway

import (
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
