package localshadow_test

import (
	"os"
	"testing"
)

// childEnv names the part that a re-executed test binary plays: a process that
// can be killed, or that may crash.
const childEnv = "LOCALSHADOW_CHILD"

func TestMain(m *testing.M) {
	switch os.Getenv(childEnv) {
	case "":
		os.Exit(m.Run())
	case "stream":
		os.Exit(stream())
	case "fill":
		os.Exit(fill())
	case "crash":
		os.Exit(crash())
	}
}
