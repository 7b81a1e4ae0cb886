package clocktest_test

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"edgeshadow/test/clocktest"
)

// The test itself is the program: it tells the time for each line that it reads.
func TestMain(m *testing.M) {
	if os.Getenv("CLOCKTEST") == "" {
		os.Exit(m.Run())
	}
	began := time.Now()
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		now := time.Now()
		fmt.Println(now.Unix(), now.Sub(began) < time.Hour)
	}
}

// The program's clock jumps both ways, and its monotonic clock does not.
func TestClock(t *testing.T) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "CLOCKTEST=1")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	const year = 365 * 24 * time.Hour
	clock := clocktest.MustStart(t, cmd, year)
	defer func() {
		if err := errors.Join(in.Close(), cmd.Wait()); err != nil {
			t.Error(err)
		}
	}()
	told := bufio.NewScanner(out)
	check := func(by time.Duration) {
		t.Helper()
		before := time.Now().Add(by).Unix()
		fmt.Fprintln(in)
		if !told.Scan() {
			t.Fatal("it tells no time")
		}
		var seconds int64
		var steady bool
		if _, err := fmt.Sscan(told.Text(), &seconds, &steady); err != nil || seconds < before || seconds > time.Now().Add(by).Unix() || !steady {
			t.Errorf("with %s: %q, want %d", by, told.Text(), before)
		}
	}
	check(year)
	for _, by := range []time.Duration{10 * year, -10 * year, 0} {
		if err := clock.Shift(by); err != nil {
			t.Fatal(err)
		}
		check(by)
	}
}
