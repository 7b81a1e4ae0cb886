package broker_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"testing"

	"edgeshadow/localshadow"
	"edgeshadow/localshadow/broker"
	"edgeshadow/test/shadowtest"
)

// kept is a broker over a store, that is ended and begun again.
type kept struct {
	*broker.Broker
	dir   string
	store *localshadow.Store
	end   func()
}

// mustKeep runs a broker over the store of a folder. end stops both.
func mustKeep(tb testing.TB, dir string) *kept {
	tb.Helper()
	store, err := localshadow.OpenStore(localshadow.Config{Path: dir}, shadowtest.Log(tb))
	if err != nil {
		tb.Fatal(err)
	}
	service := shadowtest.NewService(tb, store, nil)
	b := broker.New(loopback(), service, nil, shadowtest.Log(tb))
	b.Store, service.Publisher = store, b
	if err := b.Listen(); err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx) }()
	ended := false
	k := &kept{Broker: b, dir: dir, store: store}
	k.end = func() {
		if ended {
			return
		}
		ended = true
		cancel()
		if err := <-done; err != nil {
			tb.Error(err)
		}
		if err := store.Close(); err != nil {
			tb.Error(err)
		}
	}
	tb.Cleanup(k.end)
	return k
}

// again ends the broker and begins another over what it left.
func (k *kept) again(tb testing.TB) *kept {
	tb.Helper()
	k.end()
	return mustKeep(tb, k.dir)
}

// What waits for a session that lasts, its subscriptions and retained messages
// are there after a restart, in their order [MQTT-3.1.2-5], [MQTT-4.1.0-1].
func TestKeeper_Restart(t *testing.T) {
	for _, version := range []byte{v3, v5} {
		t.Run(fmt.Sprint(version), func(t *testing.T) {
			b := mustKeep(t, t.TempDir())
			expiry := []byte{0x11, 0, 1, 0, 0}
			none := make([]byte, version-v3)
			p, _ := mustOpen(t, b.Broker, version, "sleeper", 0, expiry...)
			p.mustSubscribe(t, version, 1, "q/#", 2)
			p.mustSubscribe(t, version, 2, "gone/#", 2)
			p.send(t, unsubscribe, ids(3), none, text("gone/#"))
			p.expect(t, unsuback)
			_ = p.Close()
			sender := mustConnect(t, b.Broker, "sender")
			const n = 40
			for i := range n {
				sender.mustPublish(t, "q/x", byte(1+i%2), fmt.Sprint(i))
				sender.mustPublish(t, "gone/x", 1, "x")
			}
			await(t, sender.Client.Publish("r/x", 1, true, "kept"))
			await(t, sender.Client.Publish("r/y", 1, true, "kept"))
			await(t, sender.Client.Publish("r/y", 1, true, ""))

			b = b.again(t)
			if s := b.Stats(); s.Sessions != 1 || s.Subscriptions != 1 || s.Retained != 1 {
				t.Errorf("after the restart: %+v", s)
			}
			p, present := mustOpen(t, b.Broker, version, "sleeper", 0, expiry...)
			if !present {
				t.Fatal("no session")
			}
			for i, released := 0, 0; i < n || released < n/2; {
				header, body, err := p.read()
				if err != nil {
					t.Fatal(err)
				}
				if header == pubrel {
					p.send(t, pubcomp, body[:2])
					released++
					continue
				}
				id := binary.BigEndian.Uint16(body[2+len("q/x"):])
				if got := string(body[2+len("q/x")+2+len(none):]); got != fmt.Sprint(i) {
					t.Fatalf("message %d is %s", i, got)
				}
				i++
				if header&0x06 == 0x02 {
					p.send(t, puback, ids(id))
					continue
				}
				p.send(t, pubrec, ids(id)) // PUBREL comes among the messages
			}
			p.mustSubscribe(t, version, 4, "r/#", 1)
			if body := p.expect(t, qos1|retain); string(body[len(body)-4:]) != "kept" {
				t.Errorf("retained % x", body)
			}
			_ = p.Close()

			b = b.again(t)
			p, _ = mustOpen(t, b.Broker, version, "sleeper", 0, expiry...)
			p.expect(t, qos1|retain) // was not acknowledged
			p.expectNothing(t)
		})
	}
}

// QoS 2 goes on where it stopped, in both directions: a restart makes no message
// come twice or get lost.
func TestKeeper_QoS2(t *testing.T) {
	b := mustKeep(t, t.TempDir())
	watch, _ := mustOpen(t, b.Broker, v3, "watch", 0)
	watch.mustSubscribe(t, v3, 1, "q/#", 2)
	p, _ := mustOpen(t, b.Broker, v3, "sender", 0)
	for id := range uint16(3) {
		p.send(t, qos2, text("q/x"), ids(id+1), fmt.Append(nil, id+1))
		p.expect(t, pubrec)
	}
	p.send(t, pubrel, ids(1))
	p.expect(t, pubcomp)
	var sent [3]uint16
	for i := range sent {
		sent[i], _ = watch.expectMessage(t, qos2, "q/x")
	}
	watch.send(t, pubrec, ids(sent[0]))
	watch.expect(t, pubrel)
	watch.send(t, pubrec, ids(sent[1]))
	watch.expect(t, pubrel)
	watch.send(t, pubcomp, ids(sent[1]))
	watch.expectNothing(t)

	b = b.again(t)
	watch, _ = mustOpen(t, b.Broker, v3, "watch", 0)
	if got := watch.expect(t, pubrel); binary.BigEndian.Uint16(got) != sent[0] { // not the PUBLISH again
		t.Errorf("PUBREL % x", got)
	}
	if id, payload := watch.expectMessage(t, qos2|dup, "q/x"); id != sent[2] || payload != "3" {
		t.Errorf("message %d, %s", id, payload)
	}
	p, _ = mustOpen(t, b.Broker, v3, "sender", 0)
	p.send(t, qos2|dup, text("q/x"), ids(2), []byte("2")) // it did not see the PUBREC
	p.expect(t, pubrec)
	p.send(t, pubrel, ids(2))
	p.expect(t, pubcomp)
	p.send(t, pubrel, ids(3))
	p.expect(t, pubcomp)
	watch.expectNothing(t)
	p.send(t, qos2, text("q/x"), ids(2), []byte("new")) // the id is free
	p.expect(t, pubrec)
	if _, payload := watch.expectMessage(t, qos2, "q/x"); payload != "new" {
		t.Errorf("message %s", payload)
	}
}

// What a kill between two removals leaves behind is taken away at the next start.
func TestKeeper_Orphans(t *testing.T) {
	b := mustKeep(t, t.TempDir())
	orphans := []string{"b/f/ghost\x00a/#", "b/x/ghost\x00\x00\x01", "b/q/ghost\x00\x00\x00\x00\x00\x00\x00\x00\x01", "b/m/\x00\x00\x00\x00\x00\x00\x00\x02"}
	records := broker.Records() // a message, a session, a subscription, a delivery
	err := b.store.Update(t.Context(), func(tx *localshadow.Tx) error {
		for i, kind := range []int{2, 2, 3, 0} {
			if err := tx.Set([]byte(orphans[i]), records[kind]); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	b = b.again(t).again(t)
	if err := b.store.View(func(r localshadow.Reader) error {
		return r.Scan([]byte("b/"), func(key, _ []byte) error {
			t.Errorf("%q is still there", key)
			return nil
		})
	}); err != nil {
		t.Fatal(err)
	}
}
