// Package serialtest is a device on a serial line: it says what a test has it
// say, answers what it is asked, holds values that can be set, and misbehaves
// when a knob is turned. Its line is a pseudo terminal whose plug can be pulled.
package serialtest

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"edgeshadow/test/ptytest"
)

// Device is the far end of a line. Requests end with a carriage return or a
// line feed.
type Device struct {
	*ptytest.Line
	tb testing.TB

	mu      sync.Mutex
	changed *sync.Cond
	answer  func(request string) string
	mute    bool
	garbage string
	heard   []string
}

// MustOpen is a device whose line is plugged in; both end with the test.
func MustOpen(tb testing.TB) *Device {
	tb.Helper()
	d := &Device{Line: ptytest.MustOpen(tb), tb: tb}
	d.changed = sync.NewCond(&d.mu)
	done := make(chan struct{})
	go func() {
		defer close(done)
		d.listen()
	}()
	tb.Cleanup(func() {
		d.mu.Lock()
		d.tb = nil
		d.mu.Unlock()
		d.Unplug()
		<-done
	})
	return d
}

// Answer makes f answer each request, without its end; what it returns is sent
// as it is.
func (d *Device) Answer(f func(request string) string) { d.turn(func() { d.answer = f }) }

// Mute makes the device silent, or brings it back.
func (d *Device) Mute(mute bool) { d.turn(func() { d.mute = mute }) }

// Garble puts garbage in front of the next answer.
func (d *Device) Garble(garbage string) { d.turn(func() { d.garbage = garbage }) }

func (d *Device) turn(change func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	change()
}

// Say sends text as it is.
func (d *Device) Say(text string) {
	if _, err := d.Write([]byte(text)); err != nil {
		d.tb.Errorf("say %q: %v", text, err)
	}
}

// listen answers requests for as long as the test runs, over every re-plug.
func (d *Device) listen() {
	var pending []byte
	buf := make([]byte, 1024)
	for {
		n, err := d.Read(buf)
		d.mu.Lock()
		over := d.tb == nil
		d.mu.Unlock()
		if over {
			return
		}
		if err != nil {
			pending = nil
			time.Sleep(time.Millisecond) // unplugged
			continue
		}
		pending = append(pending, buf[:n]...)
		for {
			end := bytes.IndexAny(pending, "\r\n")
			if end < 0 {
				break
			}
			request := string(pending[:end])
			pending = bytes.TrimLeft(pending[end:], "\r\n")
			if request != "" {
				d.take(request)
			}
		}
	}
}

func (d *Device) take(request string) {
	d.mu.Lock()
	d.heard = append(d.heard, request)
	d.changed.Broadcast()
	answer, mute, garbage := d.answer, d.mute, d.garbage
	d.garbage = ""
	d.mu.Unlock()
	if mute || answer == nil {
		return
	}
	if text := answer(request); text != "" {
		_, _ = d.Write([]byte(garbage + text)) // unplugged: nobody hears it
	}
}

// Heard are the requests so far.
func (d *Device) Heard() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]string(nil), d.heard...)
}

// AwaitHeard waits for a request that begins with prefix and is not among the
// first so many.
func (d *Device) AwaitHeard(ctx context.Context, prefix string, after int) (string, error) {
	stop := context.AfterFunc(ctx, func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.changed.Broadcast()
	})
	defer stop()
	d.mu.Lock()
	defer d.mu.Unlock()
	for {
		for _, request := range d.heard[min(after, len(d.heard)):] {
			if strings.HasPrefix(request, prefix) {
				return request, nil
			}
		}
		if ctx.Err() != nil {
			return "", fmt.Errorf("await %q among %q: %w", prefix, d.heard, ctx.Err())
		}
		d.changed.Wait()
	}
}
