package localshadow_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"edgeshadow/localshadow"
	"edgeshadow/localshadow/shadow"
	"edgeshadow/test/shadowtest"
)

const writers = 4

// stream updates one shadow per writer, again and again, and prints each
// version that was acknowledged. Every fourth step it writes a sync record that
// is cut into chunks, together with the document.
func stream() int {
	store, err := localshadow.OpenStore(localshadow.Config{Path: os.Getenv("DIR")}, nil)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if st := store.Stats(); st.Quarantined != "" {
		fmt.Fprintln(os.Stderr, "set aside:", st.Reason)
		return 1
	}
	service := localshadow.NewService(store, nil)
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for {
				version, err := step(service, writerID(w))
				if err != nil {
					fmt.Fprintln(os.Stderr, err)
					os.Exit(1)
				}
				fmt.Printf("%d %d\n", w, version) // one write
			}
		})
	}
	wg.Wait()
	return 0
}

func writerID(w int) shadow.ID { return shadow.ID{Thing: "writer", Name: strconv.Itoa(w)} }

// step takes a shadow one version further: reported.n is the version.
func step(service *localshadow.Service, id shadow.ID) (version int64, err error) {
	doc, err := service.Document(id)
	if err != nil {
		return 0, err
	}
	next := int64(1)
	if doc != nil {
		next = doc.Version + 1
	}
	n := strconv.FormatInt(next, 10)
	if next%4 == 0 {
		return next, service.Sync(context.Background(), id, func(tx *localshadow.SyncTx) error {
			reported, err := shadow.Of(map[string]any{"n": next})
			if err != nil {
				return err
			}
			if err := tx.SetRecord([]byte(strings.Repeat(n+" ", 40<<10/(len(n)+1)))); err != nil {
				return err
			}
			return tx.SetLocal(shadow.State{Reported: reported.(*shadow.Object)})
		})
	}
	body, err := service.Update(context.Background(), id, []byte(`{"state":{"reported":{"n":`+n+`}},"version":`+strconv.FormatInt(next-1, 10)+`}`))
	if err != nil {
		return 0, err
	}
	accepted, err := shadow.ParseAccepted(body)
	return accepted.Version, err
}

// L13: kill -9 at any moment, opening included: what was acknowledged is there, and
// versions go on without a gap or a repeat.
func TestService_KilledAtRandom(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	kills := 30
	if testing.Short() {
		kills = 5
	}
	dir := t.TempDir()
	var stored, acked [writers]int64
	total := 0
	for kill := range kills {
		for i, line := range streamUntilKilled(t, dir, time.Duration(random.IntN(250))*time.Millisecond) {
			var w int
			var version int64
			if _, err := fmt.Sscanf(line, "%d %d", &w, &version); err != nil {
				t.Fatalf("kill %d, line %d: %q: %v", kill, i, line, err)
			}
			if version != max(stored[w], acked[w])+1 {
				t.Errorf("kill %d: writer %d got version %d after %d", kill, w, version, max(stored[w], acked[w]))
			}
			acked[w] = version
			total++
		}
		store := shadowtest.MustOpenStoreAt(t, dir)
		if st := store.Stats(); st.Quarantined != "" {
			t.Fatalf("kill %d: set aside: %s", kill, st.Reason)
		}
		service := shadowtest.NewService(t, store, nil)
		for w := range writers {
			stored[w] = checkWriter(t, service, writerID(w), max(stored[w], acked[w]))
		}
		if err := store.Close(); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d acknowledged updates, %d kills", total, kills)
	if total == 0 {
		t.Error("nothing was ever acknowledged")
	}
}

// checkWriter allows for one update that was stored but not yet acknowledged.
func checkWriter(t *testing.T, service *localshadow.Service, id shadow.ID, acked int64) (version int64) {
	t.Helper()
	doc, err := service.Document(id)
	if err != nil {
		t.Fatal(err)
	}
	if doc == nil {
		if acked > 0 {
			t.Errorf("%s: version %d is lost, nothing is left", id, acked)
		}
		return 0
	}
	if doc.Version != acked && doc.Version != acked+1 {
		t.Errorf("%s: version %d, acknowledged %d", id, doc.Version, acked)
	}
	n, _ := doc.State.Reported.Get("n")
	if n != shadow.Number(strconv.FormatInt(doc.Version, 10)) {
		t.Errorf("%s: version %d holds n=%v", id, doc.Version, n)
	}
	err = service.Sync(t.Context(), id, func(tx *localshadow.SyncTx) error {
		record, err := tx.Record()
		if want := doc.Version / 4 * 4; want > 0 && !strings.HasPrefix(string(record), fmt.Sprint(want, " ")) {
			t.Errorf("%s: version %d beside a record of %.10q", id, doc.Version, record)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	return doc.Version
}

func streamUntilKilled(t *testing.T, dir string, after time.Duration) []string {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"=stream", "DIR="+dir)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(after, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	var lines []string
	reader := bufio.NewReader(out)
	for {
		line, err := reader.ReadString('\n')
		if err != nil {
			if !errors.Is(err, io.EOF) {
				t.Fatal(err)
			}
			break
		}
		lines = append(lines, line)
	}
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != -1 {
		t.Fatalf("the child ended by itself: %v\n%s", err, stderr.String())
	}
	return lines
}
