package bench_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/mochi-mqtt/server/v2/packets"

	"edgeshadow/localshadow"
	"edgeshadow/localshadow/broker"
	"edgeshadow/localshadow/shadow"
	"edgeshadow/test/shadowtest"
)

// payload is an update request of 1 KB.
func payload() []byte {
	var b bytes.Buffer
	b.WriteString(`{"state":{"reported":{`)
	for i := range 16 {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `"point_%02d":"%048d"`, i, i)
	}
	b.WriteString(`}}}`)
	return b.Bytes()
}

// BenchmarkRoundTrip is a QoS 1 publish and its QoS 1 answer over loopback TCP,
// whose packets one generator sends and reads: from a bare mochi that echoes in
// process, from one that syncs a record of 1.1 KB to the disk before it does, and
// from the gateway as a durable shadow update, whose PUBACK and answer follow the
// fsync. The second is what a processor that falls idle during the fsync costs
// anybody: at one client the gateway has to stand beside it.
func BenchmarkRoundTrip(b *testing.B) {
	for _, clients := range []int{1, 64} {
		b.Run(fmt.Sprintf("echo/%d", clients), func(b *testing.B) {
			server, addr := mustServeBare(b, &echo{})
			defer server.Close()
			ask(b, clients, addr, updates)
		})
		b.Run(fmt.Sprintf("echo-fsync/%d", clients), func(b *testing.B) {
			l := mustLog(b)
			server, addr := mustServeBare(b, &echo{before: l.append})
			defer server.Close()
			ask(b, clients, addr, updates)
			b.ReportMetric(l.median(), "fsync-p50-µs")
		})
		for _, durability := range []localshadow.Durability{localshadow.Sync, localshadow.OneSecond} {
			b.Run(fmt.Sprintf("shadow-%s/%d", durability, clients), func(b *testing.B) {
				g := mustServe(b, durability)
				written := writtenBytes(b)
				ask(b, clients, g.addr, updates)
				b.ReportMetric(g.commit(), "commit-p50-µs")
				b.ReportMetric(float64(writtenBytes(b)-written)/float64(b.N), "disk-B/op")
				s := g.store.Stats()
				b.ReportMetric(float64(s.Bytes)/float64(s.Operations), "stored-B/op")
				b.ReportMetric(float64(s.Operations)/float64(s.Commits), "updates/commit")
			})
		}
	}
}

// BenchmarkMessages is a message of 1 KB on an ordinary topic from one client to
// another and its acknowledgements, from a bare mochi and from the gateway.
func BenchmarkMessages(b *testing.B) {
	for _, qos := range []byte{0, 1} {
		for _, clients := range []int{1, 64} {
			b.Run(fmt.Sprintf("qos=%d/clients=%d/bare", qos, clients), func(b *testing.B) {
				server, addr := mustServeBare(b, &plain{})
				defer server.Close()
				stream(b, clients, addr, qos)
			})
			b.Run(fmt.Sprintf("qos=%d/clients=%d/gateway", qos, clients), func(b *testing.B) {
				stream(b, clients, mustServe(b, localshadow.Sync).addr, qos)
			})
		}
	}
}

// gateway is the shadow service behind the broker, in this process.
type gateway struct {
	store *localshadow.Store
	addr  string

	mu      sync.Mutex
	commits []time.Duration
}

// commit is the median of the store's commits, fsync included, in µs.
func (g *gateway) commit() float64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	slices.Sort(g.commits)
	return float64(g.commits[len(g.commits)/2].Microseconds())
}

func mustServe(b *testing.B, durability localshadow.Durability) *gateway {
	b.Helper()
	store, err := localshadow.OpenStore(localshadow.Config{Path: b.TempDir(), Durability: durability}, shadowtest.Log(b))
	if err != nil {
		b.Fatal(err)
	}
	service := shadowtest.NewService(b, store, nil)
	gw := broker.New(broker.Config{
		Listeners: []broker.Listener{{Address: "127.0.0.1:0"}},
		Limits:    broker.Limits{Rate: 1 << 30}, // the generator is a flood
	}, service, nil, shadowtest.Log(b))
	gw.Store, service.Publisher = store, gw
	if err := gw.Listen(); err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- gw.Run(ctx) }()
	b.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			b.Error(err)
		}
		store.Close()
	})
	g := &gateway{store: store, addr: gw.Addrs()[0].String()}
	store.Committed = func(took time.Duration) {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.commits = append(g.commits, took)
	}
	return g
}

// bare is a hook of a mochi that has nothing else.
type bare interface {
	mqtt.Hook
	use(*mqtt.Server)
}

func mustServeBare(b *testing.B, hook bare) (*mqtt.Server, string) {
	b.Helper()
	server := mqtt.New(&mqtt.Options{InlineClient: true, Logger: slog.New(slog.DiscardHandler)})
	tcp := listeners.NewTCP(listeners.Config{ID: "t", Address: "127.0.0.1:0"})
	for _, err := range []error{
		server.AddHook(hook, nil), server.AddListener(tcp), server.Serve(),
	} {
		if err != nil {
			b.Fatal(err)
		}
	}
	hook.use(server)
	return server, tcp.Address()
}

// updates are the topics of a client that updates a shadow.
func updates(i int) (request, answer string) {
	id := shadow.ID{Thing: fmt.Sprintf("thing-%d", i)}
	return id.Topic("update"), id.Topic("update/accepted")
}

// ask shares b.N round trips among clients that each wait for their answer.
func ask(b *testing.B, clients int, addr string, topics func(int) (request, answer string)) {
	body := payload()
	all := make([]*client, clients)
	for i := range all {
		request, answer := topics(i)
		all[i] = mustDial(b, addr, fmt.Sprintf("client-%d", i), request, answer, body)
	}
	var (
		left  atomic.Int64
		wg    sync.WaitGroup
		mu    sync.Mutex
		times []time.Duration
	)
	left.Store(int64(b.N))
	cpu := cpuTime(b)
	b.ResetTimer()
	for _, c := range all {
		wg.Go(func() {
			var own []time.Duration
			for left.Add(-1) >= 0 {
				begin := time.Now()
				if err := c.ask(); err != nil {
					b.Error(err)
					return
				}
				own = append(own, time.Since(begin))
			}
			mu.Lock()
			defer mu.Unlock()
			times = append(times, own...)
		})
	}
	wg.Wait()
	b.StopTimer()
	b.ReportMetric(float64((cpuTime(b)-cpu).Microseconds())/float64(b.N), "cpu-µs/op")
	slices.Sort(times)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "ops/s")
	if len(times) > 0 {
		b.ReportMetric(float64(times[len(times)/2].Microseconds()), "p50-µs")
		b.ReportMetric(float64(times[len(times)*99/100].Microseconds()), "p99-µs")
	}
}

// window is how many messages a stream has under way.
const window = 32

// stream shares b.N messages among pairs, of which one publishes without
// waiting for each and the other reads and acknowledges.
func stream(b *testing.B, clients int, addr string, qos byte) {
	body := payload()
	var wg sync.WaitGroup
	var left atomic.Int64
	left.Store(int64(b.N))
	starts := make([]func(), clients)
	for i := range clients {
		topic := fmt.Sprintf("dt/%d", i)
		from := mustDial(b, addr, fmt.Sprintf("from-%d", i), topic, fmt.Sprintf("none/%d", i), body)
		to := mustDial(b, addr, fmt.Sprintf("to-%d", i), topic, topic, nil)
		if qos == 0 {
			from.packet = packet(0x30, append(text(topic), body...))
		}
		places := make(chan struct{}, window)
		stop := make(chan struct{})
		starts[i] = func() {
			wg.Go(func() {
				defer close(stop)
				for left.Add(-1) >= 0 {
					places <- struct{}{}
					if _, err := from.conn.Write(from.packet); err != nil {
						b.Error(err)
						return
					}
				}
				for range window { // until all have come
					places <- struct{}{}
				}
			})
			wg.Go(func() {
				for {
					if err := to.receive(); err != nil {
						select {
						case <-stop:
						default:
							b.Error(err)
						}
						return
					}
					<-places
				}
			})
			if qos > 0 {
				wg.Go(func() { // PUBACKs
					for {
						if _, _, err := from.read(); err != nil {
							return
						}
					}
				})
			}
			go func() {
				<-stop
				from.conn.Close()
				to.conn.Close()
			}()
		}
	}
	cpu := cpuTime(b)
	b.ResetTimer()
	for _, start := range starts {
		start()
	}
	wg.Wait()
	b.StopTimer()
	b.ReportMetric(float64((cpuTime(b)-cpu).Microseconds())/float64(b.N), "cpu-µs/op")
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "ops/s")
}

// cpuTime is what this process, generator and server, has had of the processors:
// a figure that other load on the machine changes little.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// writtenBytes is what this process caused to be written to disks.
func writtenBytes(b *testing.B) int64 {
	b.Helper()
	text, err := os.ReadFile("/proc/self/io")
	if err != nil {
		b.Skipf("reads /proc/self/io, of Linux: %v", err)
	}
	for line := range strings.Lines(string(text)) {
		var n int64
		if _, err := fmt.Sscanf(line, "write_bytes: %d", &n); err == nil {
			return n
		}
	}
	b.Skip("reads write_bytes in /proc/self/io, which this kernel does not count")
	return 0
}

// open admits everybody to everything.
type open struct{ mqtt.HookBase }

func (open) OnConnectAuthenticate(*mqtt.Client, packets.Packet) bool { return true }
func (open) OnACLCheck(*mqtt.Client, string, bool) bool              { return true }
func (open) Provides(b byte) bool {
	return b == mqtt.OnConnectAuthenticate || b == mqtt.OnACLCheck || b == mqtt.OnPublish
}

// echo answers in the hook, in memory.
type echo struct {
	open
	server *mqtt.Server
	before func()
}

func (h *echo) use(s *mqtt.Server) { h.server = s }
func (h *echo) ID() string         { return "echo" }
func (h *echo) OnPublish(cl *mqtt.Client, pk packets.Packet) (packets.Packet, error) {
	if cl.Net.Inline {
		return pk, nil
	}
	if h.before != nil {
		h.before()
	}
	err := h.server.Publish(pk.TopicName+"/accepted", pk.Payload, false, 1)
	if err != nil {
		return pk, err
	}
	return pk, packets.CodeSuccessIgnore
}

// plain leaves messages to mochi.
type plain struct{ open }

func (*plain) use(*mqtt.Server) {}
func (*plain) ID() string       { return "plain" }
