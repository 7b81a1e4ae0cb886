package bridge_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"edgeshadow/bridge"
	"edgeshadow/bridge/upstream"
	"edgeshadow/localshadow"
	"edgeshadow/localshadow/shadow"
	"edgeshadow/test/cloudtest"
)

// The child process of TestCrash: a store, the reconciler and the real uplink,
// that end by kill -9 at a point of SYNC d7.
var (
	childStore = flag.String("crash.store", "", "child of TestCrash: its store")
	childCloud = flag.String("crash.cloud", "", "its cloud, host:port")
	childPoint = flag.String("crash.point", "", "the point at which it is killed")
	childSkip  = flag.Int("crash.skip", 0, "how often it passes that point")
)

// points are where a power cut can fall, before and after each transaction of
// SYNC d7: what stands on the wire, or was told, between two of them.
var points = []string{
	"T1_AfterLocalWrite",      // committed, told to nobody
	"T2_IntentDurable",        // the request has not left
	"T2_RequestLeft",          // nothing is known of it
	"T3_BeforeOwnAccepted",    // applied in the cloud, the answer was not taken in
	"T3_AfterOwnAccepted",     // taken in, not acknowledged
	"T4_BeforeForeignEvent",   //
	"T4_AfterForeignEvent",    // taken in, not acknowledged
	"T5_BeforeGetAnswer",      //
	"T5_AfterGetAnswer",       //
	"T6_BeforeDelta",          // committed, the local broker has not got it: F-24
	"T7_DeleteIntent",         //
	"T7_DeleteLeft",           //
	"T7_BeforeDeleteAccepted", //
	"T7_AfterDeleteAccepted",  //
}

// reached kills the process when it comes to the point that was asked for.
type reached struct {
	mu   sync.Mutex
	skip int
}

func (r *reached) at(point string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if point != *childPoint {
		return
	}
	if r.skip--; r.skip < 0 {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {} // until it is done
	}
}

func TestCrashChild(t *testing.T) {
	if *childStore == "" {
		t.Skip("the child process of TestCrash")
	}
	r := &reached{skip: *childSkip}
	store, err := localshadow.OpenStore(localshadow.Config{Path: *childStore}, nil)
	if err != nil {
		t.Fatal(err)
	}
	service := localshadow.NewService(store, nil)
	service.Publisher = publisher{r}
	rec, err := bridge.Open(bridge.Default(), store, service, nil)
	if err != nil {
		t.Fatal(err)
	}
	uplink := &upstream.Client{
		Config: upstream.Config{Endpoint: "mqtt://" + *childCloud}, ClientID: "gw", Filters: bridge.Filters(),
		Handler: handler{rec, r}, Backoff: upstream.Backoff{Min: 5 * time.Millisecond, Max: 50 * time.Millisecond, Stable: time.Second},
	}
	rec.Connect(cloud{uplink, r})
	rec.Know("lamp")
	service.Observe(observer{r})
	service.Observe(rec)
	ctx := t.Context()
	go func() { _ = rec.Run(ctx) }()
	go func() { _ = uplink.Run(ctx) }()
	in := bufio.NewScanner(os.Stdin)
	fmt.Println("ready")
	for in.Scan() {
		switch line := in.Text(); line {
		case "delete":
			_, err = service.Delete(ctx, lamp, nil)
		case "synced":
			for tick := time.NewTicker(5 * time.Millisecond); !rec.Synced(lamp); <-tick.C {
			}
			err = nil
		case "get":
			var body []byte
			if body, err = service.Get(ctx, lamp, nil); err == nil {
				fmt.Println("document", string(body))
			}
		default:
			_, err = service.Update(ctx, lamp, []byte(line))
		}
		fmt.Println("done", err)
	}
}

type publisher struct{ *reached }

func (p publisher) Publish(topic string, _ []byte) {
	if strings.HasSuffix(topic, "/delta") {
		p.at("T6_BeforeDelta")
	}
}

type observer struct{ *reached }

func (o observer) Changed(localshadow.Change) { o.at("T1_AfterLocalWrite") }

type cloud struct {
	bridge.Cloud
	*reached
}

func (c cloud) Publish(ctx context.Context, topic string, payload []byte) error {
	_, op, _ := shadow.ParseTopic(topic)
	switch op {
	case "update":
		c.at("T2_IntentDurable")
	case "delete":
		c.at("T7_DeleteIntent")
	}
	err := c.Cloud.Publish(ctx, topic, payload)
	switch op {
	case "update":
		c.at("T2_RequestLeft")
	case "delete":
		c.at("T7_DeleteLeft")
	}
	return err
}

type handler struct {
	upstream.Handler
	*reached
}

func (h handler) Message(topic string, payload []byte, ack func()) {
	_, suffix, _ := shadow.ParseTopic(topic)
	step := ""
	switch own := strings.Contains(string(payload), "clientToken"); {
	case suffix == "update/accepted" && own:
		step = "T3_%sOwnAccepted"
	case suffix == "update/accepted":
		step = "T4_%sForeignEvent"
	case strings.HasPrefix(suffix, "get/"):
		step = "T5_%sGetAnswer"
	case suffix == "delete/accepted":
		step = "T7_%sDeleteAccepted"
	}
	if step != "" {
		h.at(fmt.Sprintf(step, "Before"))
	}
	h.Handler.Message(topic, payload, func() {
		if step != "" {
			h.at(fmt.Sprintf(step, "After"))
		}
		ack()
	})
}

// child is a running TestCrashChild.
type child struct {
	t   *testing.T
	cmd *exec.Cmd
	in  *bufio.Writer
	out *bufio.Scanner
}

func mustStart(t *testing.T, store, addr, point string, skip int) *child {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestCrashChild$", "-crash.store="+store, "-crash.cloud="+addr,
		"-crash.point="+point, fmt.Sprint("-crash.skip=", skip))
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // a parent that is killed leaves no children
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	c := &child{t, cmd, bufio.NewWriter(in), bufio.NewScanner(out)}
	if c.out.Scan() && c.out.Text() != "ready" {
		t.Fatalf("the child says %q", c.out.Text())
	}
	return c
}

// say sends a line and returns the answer; false when the child is dead.
func (c *child) say(line string) (document string, ok bool) {
	_, _ = c.in.WriteString(line + "\n")
	if c.in.Flush() != nil {
		return "", false
	}
	for c.out.Scan() {
		text := c.out.Text()
		if d, is := strings.CutPrefix(text, "document "); is {
			document = d
		} else if strings.HasPrefix(text, "done") {
			return document, true
		}
	}
	return "", false
}

// died waits for the end, which must have been by kill -9.
func (c *child) died(ctx context.Context) bool {
	done := make(chan error, 1)
	go func() { done <- c.cmd.Wait() }()
	select {
	case err := <-done:
		var exit *exec.ExitError
		return errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL
	case <-ctx.Done():
		return false
	}
}

// TestCrash kills a process at every point of SYNC d7, F-23, in the midst of
// writes and deletes on both sides; started anew, both sides come together, and
// what was answered is there.
func TestCrash(t *testing.T) {
	if testing.Short() {
		t.Skip("kills processes")
	}
	for _, point := range points {
		t.Run(point, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			there := cloudtest.New()
			broker, err := cloudtest.Serve(there)
			if err != nil {
				t.Fatal(err)
			}
			defer broker.Close()
			store := t.TempDir()
			skip := 1
			if strings.HasPrefix(point, "T5") {
				skip = 0 // nothing is got but at the start
			}
			c := mustStart(t, store, broker.Addr(), point, skip)
			var answered float64
			killed := false
			for i := 1.0; !killed; i++ {
				if ctx.Err() != nil {
					t.Fatal("the point was never reached")
				}
				there.Update("lamp", "", object{"desired": object{"app": i}})
				if _, ok := c.say(fmt.Sprintf(`{"state":{"desired":{"own":%v},"reported":{"n":%v}}}`, i, i)); !ok {
					killed = true
					break
				}
				answered = i
				if _, ok := c.say("synced"); !ok {
					killed = true
					break
				}
				if strings.HasPrefix(point, "T7") && int(i)%2 == 0 {
					_, ok1 := c.say("delete")
					_, ok2 := c.say("synced")
					answered, killed = 0, !ok1 || !ok2
				}
			}
			if !c.died(ctx) {
				t.Fatal("the child did not die by kill -9")
			}
			there.Update("lamp", "", object{"desired": object{"while": "down"}})

			c = mustStart(t, store, broker.Addr(), "", 0)
			if _, ok := c.say(`{"state":{"reported":{"after":true}}}`); !ok {
				t.Fatal("no answer after the restart")
			}
			if _, ok := c.say("synced"); !ok {
				t.Fatal("not in sync after the restart")
			}
			body, _ := c.say("get")
			var here struct{ State map[string]any }
			if err := json.Unmarshal([]byte(body), &here); err != nil {
				t.Fatalf("%q: %v", body, err)
			}
			delete(here.State, "delta")
			equal, stop := context.WithTimeout(ctx, 10*time.Second)
			defer stop()
			if err := there.AwaitShadow(equal, "lamp", "", here.State); err != nil {
				t.Error(err)
			}
			reported, _ := here.State["reported"].(map[string]any)
			if n, _ := reported["n"].(float64); n < answered {
				t.Errorf("I16: answered for %v, there is %v", answered, here.State)
			}
		})
	}
}
