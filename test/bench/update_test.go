package bench_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/mochi-mqtt/server/v2/packets"

	"edgeshadow/localshadow"
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

// BenchmarkRoundTrip is a QoS 1 publish and its QoS 1 answer over loopback TCP:
// from a bare mochi that echoes in process, and as a durable shadow update whose
// answer follows the fsync. The ratio of the two is what the shadow service and
// the disk cost.
func BenchmarkRoundTrip(b *testing.B) {
	for _, clients := range []int{1, 64} {
		b.Run(fmt.Sprintf("echo/%d", clients), func(b *testing.B) {
			run(b, clients, &echo{})
		})
		for _, durability := range []localshadow.Durability{localshadow.Sync, localshadow.OneSecond} {
			b.Run(fmt.Sprintf("shadow-%s/%d", durability, clients), func(b *testing.B) {
				store, err := localshadow.OpenStore(localshadow.Config{Path: b.TempDir(), Durability: durability}, shadowtest.Log(b))
				if err != nil {
					b.Fatal(err)
				}
				b.Cleanup(func() { store.Close() })
				run(b, clients, &durable{service: shadowtest.NewService(b, store, nil)})
			})
		}
	}
}

func run(b *testing.B, clients int, hook interface {
	mqtt.Hook
	use(*mqtt.Server)
}) {
	server := mqtt.New(&mqtt.Options{InlineClient: true, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	tcp := listeners.NewTCP(listeners.Config{ID: "t", Address: "127.0.0.1:0"})
	for _, err := range []error{
		server.AddHook(hook, nil), server.AddListener(tcp), server.Serve(),
	} {
		if err != nil {
			b.Fatal(err)
		}
	}
	defer server.Close()
	hook.use(server)
	body := payload()
	all := make([]*client, clients)
	for i := range all {
		id := shadow.ID{Thing: fmt.Sprintf("thing-%d", i)}
		all[i] = mustDial(b, tcp.Address(), id.Thing, id.Topic("update"), id.Topic("update/accepted"), body)
	}
	var (
		left  atomic.Int64
		wg    sync.WaitGroup
		mu    sync.Mutex
		times []time.Duration
	)
	left.Store(int64(b.N))
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
	slices.Sort(times)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "updates/s")
	if len(times) > 0 {
		b.ReportMetric(float64(times[len(times)/2].Microseconds()), "p50-µs")
		b.ReportMetric(float64(times[len(times)*99/100].Microseconds()), "p99-µs")
	}
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
}

func (h *echo) use(s *mqtt.Server) { h.server = s }
func (h *echo) ID() string         { return "echo" }
func (h *echo) OnPublish(cl *mqtt.Client, pk packets.Packet) (packets.Packet, error) {
	if cl.Net.Inline {
		return pk, nil
	}
	err := h.server.Publish(pk.TopicName+"/accepted", pk.Payload, false, 1)
	if err != nil {
		return pk, err
	}
	return pk, packets.CodeSuccessIgnore
}

// durable hands requests to the shadow service; the PUBACK follows the fsync.
type durable struct {
	open
	server  *mqtt.Server
	service *localshadow.Service
}

func (h *durable) use(s *mqtt.Server) { h.server, h.service.Publisher = s, h }
func (h *durable) ID() string         { return "durable" }
func (h *durable) Publish(topic string, payload []byte) {
	_ = h.server.Publish(topic, payload, false, 1)
}
func (h *durable) OnPublish(cl *mqtt.Client, pk packets.Packet) (packets.Packet, error) {
	id, op, ok := shadow.ParseTopic(pk.TopicName)
	if cl.Net.Inline || !ok {
		return pk, nil
	}
	h.service.Handle(context.Background(), id, op, pk.Payload, func() {
		_ = cl.WritePacket(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Puback}, PacketID: pk.PacketID})
	})
	return pk, packets.ErrRejectPacket
}
