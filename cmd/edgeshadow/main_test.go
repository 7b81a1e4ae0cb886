package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"edgeshadow/test/porttest"
)

// TestMain makes the test binary be edgeshadow when it is called by that name:
// scripts and tests drive the real thing in processes of its own.
func TestMain(m *testing.M) { testscript.Main(m, map[string]func(){"edgeshadow": main}) }

// TestScripts runs testdata/*.txt. Beside testscript's own commands there are
//
//	exits CODE COMMAND…   the command ends with this exit code
//	await COMMAND…        the command succeeds sooner or later
//	port NAME…            each variable becomes a loopback port that is free
//	plc NAME              the variable becomes the address of a Modbus TCP server
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("EDGESHADOW_SOCKET", e.WorkDir+"/api.sock")
			e.Setenv("EDGESHADOW_CONFIG", e.WorkDir+"/edgeshadow.yaml")
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"exits": exits, "await": await, "port": freePorts, "plc": plc,
		},
		Condition: func(cond string) (bool, error) {
			if cond != "mosquitto" {
				return false, fmt.Errorf("no condition %q", cond)
			}
			_, pub := exec.LookPath("mosquitto_pub")
			_, sub := exec.LookPath("mosquitto_sub")
			return pub == nil && sub == nil, nil
		},
	})
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND [ARGUMENT…]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	var exit *exec.ExitError
	if err := ts.Exec(args[1], args[2:]...); errors.As(err, &exit) {
		got = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

func await(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: await COMMAND [ARGUMENT…]")
	}
	const patience = 20 * time.Second
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); ; <-tick.C {
		err := ts.Exec(args[0], args[1:]...)
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("not in %v: %v", patience, err)
		}
	}
}

func freePorts(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: port NAME…")
	}
	for _, name := range args {
		address, err := porttest.FindAddress()
		ts.Check(err)
		_, port, err := net.SplitHostPort(address)
		ts.Check(err)
		ts.Setenv(name, port)
	}
}

// MustFindSelf is the path of the binary under test.
func MustFindSelf(tb testing.TB) string {
	tb.Helper()
	self, err := exec.LookPath("edgeshadow") // put there by TestMain
	if err != nil {
		tb.Fatal(err)
	}
	if _, err := os.Stat(self); err != nil {
		tb.Fatal(err)
	}
	return self
}
