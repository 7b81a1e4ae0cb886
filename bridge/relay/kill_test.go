package relay_test

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"edgeshadow/bridge/relay"
	"edgeshadow/bridge/upstream"
)

var (
	messages = flag.Int("messages", 4000, "how many TestKill sends")
	cuts     = flag.Int("cuts", 8, "how often TestKill cuts the link")
	kills    = flag.Int("kills", 3, "how often TestKill kills the relay")
)

// childEnv makes the test binary a relay in a process of its own: its folder
// and its endpoint.
const childEnv = "RELAY_CHILD"

const killedSize = 32 << 20

func TestMain(m *testing.M) {
	if env := os.Getenv(childEnv); env != "" {
		dir, endpoint, _ := strings.Cut(env, " ")
		os.Exit(child(dir, endpoint))
	}
	os.Exit(m.Run())
}

// child takes "topic payload" lines from stdin and says each again when it is
// acknowledged.
func child(dir, endpoint string) int {
	classes := relay.Classes{"telemetry": {Size: killedSize, Full: relay.Refuse}}
	r, err := relay.Open(up, classes, dir, relay.Origin{}, nil)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	e := &ends{relay: r, up: make(chan struct{}, 1)}
	e.client = &upstream.Client{
		Config: upstream.Config{Endpoint: "mqtt://" + endpoint}, ClientID: "gw-1", Handler: e, Filters: []string{"x"},
		Backoff: upstream.Backoff{Min: 5 * time.Millisecond, Max: 50 * time.Millisecond, Stable: time.Minute},
	}
	go func() { _ = r.Run(context.Background()) }()
	go func() { _ = e.client.Run(context.Background()) }()
	var mu sync.Mutex
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		line := in.Text()
		topic, payload, _ := strings.Cut(line, " ")
		r.Take(context.Background(), relay.Message{Topic: topic, Payload: []byte(payload)}, func() {
			mu.Lock()
			defer mu.Unlock()
			fmt.Println(line)
		})
	}
	select {} // until it is killed
}

// publisher is a client that keeps what is not acknowledged, and sends it again
// to the relay that follows.
type publisher struct {
	tb       testing.TB
	dir      string
	endpoint string

	cmd *exec.Cmd
	in  io.WriteCloser
	out sync.WaitGroup

	mu      sync.Mutex
	unacked []string
	acked   int
	window  chan struct{}
}

func (p *publisher) start() {
	p.tb.Helper()
	p.cmd = exec.Command(os.Args[0])
	p.cmd.Env = append(os.Environ(), childEnv+"="+p.dir+" "+p.endpoint)
	p.cmd.Stderr = os.Stderr
	var err error
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		p.tb.Fatal(err)
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		p.tb.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		p.tb.Fatal(err)
	}
	p.out.Go(func() {
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			p.ack(lines.Text())
		}
	})
	p.mu.Lock()
	again := append([]string(nil), p.unacked...)
	p.mu.Unlock()
	for _, line := range again {
		p.write(line)
	}
}

func (p *publisher) write(line string) {
	if _, err := io.WriteString(p.in, line+"\n"); err != nil {
		p.tb.Fatal(err)
	}
}

func (p *publisher) ack(line string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, l := range p.unacked {
		if l == line {
			p.unacked = append(p.unacked[:i], p.unacked[i+1:]...)
			p.acked++
			<-p.window
			return
		}
	}
}

func (p *publisher) send(line string) {
	select {
	case p.window <- struct{}{}:
	case <-time.After(patience):
		p.tb.Fatal("not acknowledged")
	}
	p.mu.Lock()
	p.unacked = append(p.unacked, line)
	p.mu.Unlock()
	p.write(line)
}

// kill is kill -9.
func (p *publisher) kill() {
	p.tb.Helper()
	if err := p.cmd.Process.Kill(); err != nil {
		p.tb.Fatal(err)
	}
	p.out.Wait()
	_ = p.cmd.Wait() // killed
}

// L11: TestKill sends messages on several topics while the link is cut and the relay
// is killed at random. What was acknowledged arrives, each topic in its order,
// and the journal stays within its bound.
func TestKill(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	c := mustCloud(t)
	link := mustLink(t, c.addr)
	p := &publisher{tb: t, dir: t.TempDir(), endpoint: link.Addr(), window: make(chan struct{}, 64)}
	p.start()
	t.Cleanup(func() { p.kill() })
	spoil := []func(){link.Cut, link.Refuse, link.Mute, link.Blackhole}
	cut, kill := moments(random, *cuts), moments(random, *kills)
	heal := map[int]bool{}
	const topics = 7
	for i := range *messages {
		p.send(fmt.Sprintf("line/%d/data %d", i%topics, i/topics))
		if cut[i] {
			spoil[random.IntN(len(spoil))]()
			heal[i+1+random.IntN(*messages / *cuts)] = true
		}
		if heal[i] {
			link.Heal()
		}
		if kill[i] {
			p.kill()
			if n := diskBytes(t, p.dir); n > killedSize {
				t.Errorf("%d bytes on disk, bound %d", n, killedSize)
			}
			p.start()
		}
	}
	link.Heal()
	await(t, "the last acknowledgements", func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.acked == *messages
	})
	want := map[string][]string{}
	for i := range *messages {
		topic := fmt.Sprintf("site1/%d/data", i%topics)
		want[topic] = append(want[topic], fmt.Sprint(i/topics))
	}
	got := c.await(t, "everything", func(got []upstream.Message) bool {
		if len(got) < *messages {
			return false
		}
		distinct := map[string]bool{}
		for _, m := range got {
			distinct[m.Topic+" "+string(m.Payload)] = true
		}
		return len(distinct) == *messages
	})
	for topic, payloads := range want {
		first := firsts(got, topic)
		for i := range payloads {
			if first[i] != payloads[i] {
				t.Fatalf("%s: message %d is %s, want %s", topic, i, first[i], payloads[i])
			}
		}
	}
	t.Logf("%d messages, %d cuts, %d kills: %d arrivals", *messages, *cuts, *kills, len(got))
}

// moments draws n different messages.
func moments(random *rand.Rand, n int) map[int]bool {
	out := map[int]bool{}
	for len(out) < n {
		out[random.IntN(*messages)] = true
	}
	return out
}
