package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"edgeshadow/bridge/upstream"
	"edgeshadow/cmd/console"
	"edgeshadow/localshadow/shadow"
	"edgeshadow/test/porttest"
)

var crashes = flag.Int("crashes", 4, "how often TestRun_KilledAtRandom kills the daemon")

// writer is the only one to write its shadow: the n-th update says n, so that n
// is the version too unless a number was left out or given twice.
type writer struct {
	id       shadow.ID
	next     int64 // that was sent, or will be
	accepted int64 // the last that was answered
}

// TestRun_KilledAtRandom kills the daemon in the middle of updates, over the API
// and over MQTT, again and again in the same state. Each accepted update must be
// there afterwards, and versions must go on without a gap or a repeat.
func TestRun_KilledAtRandom(t *testing.T) {
	dir, seed := t.TempDir(), time.Now().UnixNano()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(uint64(seed), 0))
	var writers []*writer
	for i := range 6 {
		writers = append(writers, &writer{id: shadow.ID{Thing: fmt.Sprintf("writer-%d", i)}, next: 1})
	}
	for round := range *crashes {
		d := MustRunDaemon(t, dir, porttest.MustFindAddress(t), "")
		for _, w := range writers {
			w.check(t, d)
		}
		ctx, stop := context.WithCancel(t.Context())
		var wait sync.WaitGroup
		started := make(chan struct{}, len(writers))
		for i, w := range writers {
			write := w.overAPI(d)
			if i%2 == 1 {
				write = w.overMQTT(ctx, t, &wait, d)
			}
			wait.Go(func() {
				for n := 0; ; n++ {
					version, err := write(ctx)
					if err != nil {
						return // the daemon is gone
					}
					if version != w.next {
						t.Errorf("%s: update %d became version %d", w.id, w.next, version)
						return
					}
					w.accepted, w.next = w.next, w.next+1
					if n == 0 {
						started <- struct{}{}
					}
				}
			})
		}
		for range writers {
			select {
			case <-started:
			case <-time.After(patience):
				t.Fatal("nothing is accepted")
			}
		}
		// The moment is what the test is about: anywhere in the stream.
		<-time.After(time.Duration(random.Int64N(int64(100 * time.Millisecond))))
		d.kill()
		stop()
		wait.Wait()
		t.Logf("round %d: killed after %d updates of %s", round, writers[0].accepted, writers[0].id)
	}
	d := MustRunDaemon(t, dir, porttest.MustFindAddress(t), "")
	for _, w := range writers {
		w.check(t, d)
	}
	d.stop(t)
}

// check compares the document with what was accepted. The update that was under
// way may or may not be in it.
func (w *writer) check(t *testing.T, d *daemon) {
	t.Helper()
	text, err := d.Get(t.Context(), w.id)
	var rejected *shadow.Error
	if errors.As(err, &rejected) && rejected.Code == 404 && w.accepted == 0 {
		return
	}
	if err != nil {
		t.Fatalf("%s, of which %d were accepted: %v", w.id, w.accepted, err)
	}
	var got struct {
		State   struct{ Reported struct{ N int64 } }
		Version int64
	}
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	if n := got.State.Reported.N; n != w.accepted && n != w.next {
		t.Errorf("%s holds update %d; accepted are %d, sent %d", w.id, n, w.accepted, w.next)
	}
	if got.Version != got.State.Reported.N {
		t.Errorf("%s: update %d has version %d", w.id, got.State.Reported.N, got.Version)
	}
	w.accepted, w.next = got.State.Reported.N, got.State.Reported.N+1
}

func (w *writer) request() []byte {
	return fmt.Appendf(nil, `{"state":{"reported":{"n":%d}},"clientToken":"%d"}`, w.next, w.next)
}

func (w *writer) overAPI(d *daemon) func(context.Context) (version int64, err error) {
	client := console.NewClient(d.dir + "/api.sock") // connections of its own
	return func(ctx context.Context) (int64, error) {
		answer, err := client.Update(ctx, w.id, w.request())
		if err != nil {
			return 0, err
		}
		return versionOf(answer)
	}
}

func versionOf(accepted []byte) (int64, error) {
	var a struct{ Version int64 }
	err := json.Unmarshal(accepted, &a)
	return a.Version, err
}

// overMQTT is a device: it counts an update when its accepted came.
func (w *writer) overMQTT(ctx context.Context, t *testing.T, wait *sync.WaitGroup, d *daemon) func(context.Context) (int64, error) {
	device := &device{up: make(chan struct{}), lost: make(chan struct{}), accepted: make(chan []byte, 1)}
	topic := "$aws/things/" + w.id.Thing + "/shadow/update"
	client := &upstream.Client{
		Config: upstream.Config{Endpoint: "mqtt://" + d.address}, ClientID: w.id.Thing,
		Filters: []string{topic + "/accepted"}, Handler: device,
	}
	wait.Go(func() { _ = client.Run(ctx) })
	select {
	case <-device.up:
	case <-time.After(patience):
		t.Errorf("%s does not connect", w.id.Thing)
	}
	return func(ctx context.Context) (int64, error) {
		if err := client.Publish(ctx, topic, w.request()); err != nil {
			return 0, err
		}
		for {
			select {
			case answer := <-device.accepted:
				if version, err := versionOf(answer); err != nil || version >= w.next {
					return version, err
				} // one that a kept session still held
			case <-device.lost:
				return 0, upstream.ErrDown
			case <-ctx.Done():
				return 0, ctx.Err()
			}
		}
	}
}

// device hears the answers to its updates.
type device struct {
	up, lost     chan struct{}
	began, ended sync.Once
	accepted     chan []byte
}

func (d *device) Up(bool)    { d.began.Do(func() { close(d.up) }) }
func (d *device) Down(error) { d.ended.Do(func() { close(d.lost) }) }
func (d *device) Message(_ string, payload []byte, ack func()) {
	ack()
	select {
	case d.accepted <- payload:
	case <-d.lost:
	}
}
