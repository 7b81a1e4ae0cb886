package broker_test

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"edgeshadow/localshadow/shadow"
)

// 1,000 clients are connected; 50 of them update shadows, one reads nothing of
// what it asked for, and one sends garbage, again and again. No client but those
// two sees an error, and what the broker holds for clients stays within the
// bound that it states.
func TestBroker_Crowd(t *testing.T) {
	const clients, updating, updates = 1000, 50, 20
	var files syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err != nil || files.Cur < 2*clients+200 {
		t.Skipf("wants %d file descriptors, has %d: ulimit -n", 2*clients+200, files.Cur)
	}
	b, service := MustServe(t)
	before := heap()
	all := make([]*peer, clients)
	for i := range all {
		p, _ := mustOpen(t, b, v3, fmt.Sprint("client-", i), clean)
		_ = p.SetDeadline(time.Now().Add(6 * patience))
		all[i] = p
	}
	deaf, _ := mustOpen(t, b, v3, "deaf", clean)
	deaf.mustSubscribe(t, v3, 1, "#", 1)
	flood, _ := mustOpen(t, b, v3, "flood", clean)

	var stop atomic.Bool
	var bad, good sync.WaitGroup
	bad.Go(func() { // what the deaf one does not read: 8 MiB
		payload := make([]byte, 8<<10)
		for i := 0; i < 1000 && !stop.Load(); i++ {
			flood.send(t, qos1, text("flood"), ids(uint16(i+1)), payload)
			flood.expect(t, puback)
		}
	})
	bad.Go(func() {
		random := rand.New(rand.NewPCG(1, 2))
		for !stop.Load() {
			p, _ := mustOpen(t, b, v3+byte(random.IntN(2)), "garbage", clean)
			junk := make([]byte, 64+random.IntN(4096))
			for i := range junk {
				junk[i] = byte(random.Uint32())
			}
			junk[0] |= 0x10 // no DISCONNECT of its own
			_, _ = p.Write(junk)
			_ = p.SetReadDeadline(time.Now().Add(100 * time.Millisecond)) // it may wait for more
			_, _ = io.Copy(io.Discard, p)
			_ = p.Close()
		}
	})
	var highest atomic.Int64
	bad.Go(func() {
		for !stop.Load() {
			s := b.Stats()
			highest.Store(max(highest.Load(), s.Memory))
			if s.Memory > s.MemoryBound {
				t.Errorf("holds %d bytes, bound %d", s.Memory, s.MemoryBound)
				return
			}
			runtime.Gosched()
		}
	})
	for i, p := range all {
		good.Go(func() {
			if i < updating {
				update(t, p, fmt.Sprint("thing-", i), updates)
				return
			}
			topic := fmt.Sprintf("dt/%d", i)
			p.mustSubscribe(t, v3, 1, topic, 1)
			for n := range 10 {
				p.send(t, qos1, text(topic), ids(uint16(n+1)), ids(uint16(n)))
				for acked, got := false, false; !acked || !got; {
					header, body, err := p.read()
					switch {
					case err != nil:
						t.Errorf("client %d: %v", i, err)
						return
					case header == puback:
						acked = true
					default:
						got = true
						p.send(t, puback, body[2+len(topic):][:2])
					}
				}
			}
		})
	}
	good.Wait()
	grown := heap() - before
	stop.Store(true)
	bad.Wait()
	s := b.Stats()
	t.Logf("held at most %d KiB of %d; the heap grew by %d KiB, the clients' included; malformed %d, violations %d, slow %d, dropped %d",
		highest.Load()>>10, s.MemoryBound>>10, grown>>10, s.Malformed, s.Violations, s.Slow, s.Dropped)
	if s.Malformed == 0 {
		t.Error("no garbage was seen")
	}
	if grown > s.MemoryBound {
		t.Errorf("the heap grew by %d bytes, bound %d", grown, s.MemoryBound)
	}
	for i := range updating {
		d, err := service.Document(shadow.ID{Thing: fmt.Sprint("thing-", i)})
		if err != nil || d == nil || d.Version != updates {
			t.Errorf("thing-%d: %+v, %v", i, d, err)
		}
	}
	for i, p := range all {
		p.send(t, pingreq)
		if header, _, err := p.read(); err != nil || header != pingresp {
			t.Errorf("client %d at the end: %#x, %v", i, header, err)
		}
	}
}

// update updates a shadow and awaits each answer.
func update(t *testing.T, p *peer, thing string, times int) {
	topic := shadow.ID{Thing: thing}.Topic("update")
	p.mustSubscribe(t, v3, 1, topic+"/+", 1)
	for n := range times {
		p.send(t, qos1, text(topic), ids(uint16(n+1)), fmt.Appendf(nil, `{"state":{"reported":{"n":%d}}}`, n))
		for acked, answers := false, 0; !acked || answers < 2; { // accepted and documents
			header, body, err := p.read()
			switch {
			case err != nil:
				t.Errorf("%s: %v", thing, err)
				return
			case header == puback:
				acked = true
			default:
				answers++
				length := binary.BigEndian.Uint16(body)
				p.send(t, puback, body[2+length:][:2])
			}
		}
	}
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// A client that sends more than it may is cut off; MQTT 5 is told why, and so is
// whoever watches.
func TestBroker_Flood(t *testing.T) {
	cfg := loopback()
	cfg.Limits.Rate = 100
	b := MustRun(t, cfg, newHeld(), nil)
	other, _ := mustOpen(t, b, v3, "other", clean)
	watch := mustConnect(t, b, "watch")
	watch.mustSubscribe(t, presence+"disconnected/flood")
	for _, version := range []byte{v3, v5} {
		p, _ := mustOpen(t, b, version, "flood", clean)
		w := bufio.NewWriter(p)
		for range 1000 {
			if _, err := w.Write([]byte{pingreq, 0}); err != nil {
				break
			}
		}
		_ = w.Flush()
		n, last := 0, byte(0)
		for {
			header, body, err := p.read()
			if err != nil {
				break
			}
			if n++; header == disconnect {
				last = body[0]
			}
		}
		if n < 300 || n > 1000 {
			t.Errorf("%d packets were served", n)
		}
		if version == v5 && last != 0x96 {
			t.Errorf("DISCONNECT %#x", last)
		}
		if e := watch.nextEvent(t, presence+"disconnected/flood"); e["disconnectReason"] != "THROTTLED" {
			t.Errorf("%v", e)
		}
	}
	other.expectNothing(t)
	if s := b.Stats(); s.Flooding != 2 {
		t.Errorf("%+v", s)
	}
}
