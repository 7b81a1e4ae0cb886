package ble

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/godbus/dbus/v5"

	"edgeshadow/adapters"
)

const (
	// callTimeout bounds a call of BlueZ.
	callTimeout = 10 * time.Second
	// defaultPatience is how long an adapter may hear nothing: a place with
	// Bluetooth devices is never that still.
	defaultPatience = 2 * time.Minute
	// maxPatience is how long it is waited in a place where nothing helps, for
	// there may be nothing to hear.
	maxPatience = 30 * time.Minute
	// rateWindow is the time over which advertisements are counted.
	rateWindow = time.Minute
)

// The states of a radio.
const (
	stateActive  = "active"
	statePassive = "passive"
	stateStarts  = "starting"
)

// radio keeps one adapter listening.
type radio struct {
	path dbus.ObjectPath
	conn *dbus.Conn
	log  *slog.Logger

	patience time.Duration
	monitor  func() *monitor // makes one for what is to be heard; nil: none is offered, or none helps
	passive  *monitor        // that is registered; keep's own
	wake     chan struct{}
	cancel   context.CancelFunc
	dialing  sync.Mutex // held while a connection is made: one at a time

	mu        sync.Mutex
	stats     adapters.Radio
	last      time.Time // of the last advertisement, or of the last attempt to hear one
	window    time.Time
	count     uint64 // of advertisements in the window
	listening bool
	held      int // connections: while there are any, the adapter is alive and not switched off
}

func newRadio(p dbus.ObjectPath, address string, conn *dbus.Conn, patience time.Duration, log *slog.Logger) *radio {
	name := path.Base(string(p))
	return &radio{
		path: p, conn: conn, log: log.With("adapter", name), patience: patience, wake: make(chan struct{}, 1),
		stats: adapters.Radio{Name: name, Address: address, State: stateStarts},
	}
}

// heard counts an advertisement.
func (r *radio) heard(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.roll(now)
	r.stats.Adverts++
	r.count++
	r.last = now
}

// roll begins a new window when the current one is over.
func (r *radio) roll(now time.Time) {
	past := now.Sub(r.window)
	if past < rateWindow {
		return
	}
	r.stats.PerMinute = 0
	if past < 2*rateWindow {
		r.stats.PerMinute = float64(r.count) / past.Minutes()
	}
	r.window, r.count = now, 0
}

// snapshot is how the radio is.
func (r *radio) snapshot(now time.Time) adapters.Radio {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.roll(now)
	s := r.stats
	if past := now.Sub(r.window); s.PerMinute == 0 && past > 0 {
		s.PerMinute = float64(r.count) / max(past, time.Second).Minutes() // the first window is not over
	}
	return s
}

func (r *radio) note(change func(s *adapters.Radio)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change(&r.stats)
}

// keep makes the adapter listen until ctx ends, and makes it listen again when
// it stops. What it does when nothing is heard are the rungs of a ladder: to
// discover anew; to switch the adapter off and on; to say so.
func (r *radio) keep(ctx context.Context) {
	again := &backoff.ExponentialBackOff{InitialInterval: time.Second, MaxInterval: 30 * time.Second, Multiplier: 2, RandomizationFactor: 0.3}
	again.Reset()
	rung, step, told := 0, 0, ""
	for ctx.Err() == nil {
		state, err := r.listen(ctx, step)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			text := explain(err)
			r.note(func(s *adapters.Radio) { s.State = text })
			if told != text {
				r.log.Warn("the adapter does not listen; it is tried again", "err", text)
			}
			told = text
			rest(ctx, r.wake, again.NextBackOff())
			continue
		}
		if told != "" {
			r.log.Info("the adapter listens", "how", state)
			told = ""
		}
		again.Reset()
		r.note(func(s *adapters.Radio) { s.State = state })
		rung, step = r.attend(ctx, rung)
	}
}

// attend waits until the adapter has to be made to listen again. It says on which
// rung of the ladder it stands, and what to do now: 0 when it only stopped.
func (r *radio) attend(ctx context.Context, rung int) (next, step int) {
	began := time.Now()
	r.mu.Lock()
	r.last = began
	r.mu.Unlock()
	patience := min(r.patience<<max(0, min(rung-2, 8)), max(maxPatience, r.patience))
	for {
		r.mu.Lock()
		if r.held > 0 {
			r.last = time.Now()
		}
		last, listening := r.last, r.listening
		r.mu.Unlock()
		if last.After(began) {
			rung, patience = 0, r.patience
		}
		if !listening {
			return rung, 0
		}
		silent := time.Since(last)
		if silent >= patience {
			if rung++; rung == 3 {
				r.log.Warn("nothing is heard, though the adapter was switched off and on", "silent_for", silent.Round(time.Second),
					"hint", "is anything near? edgeshadow ble scan; if so: systemctl restart bluetooth, or another adapter")
			}
			return rung, rung
		}
		rest(ctx, r.wake, patience-silent)
		if ctx.Err() != nil {
			return rung, 0
		}
	}
}

// stopped notes that BlueZ said that the adapter does not listen any more.
func (r *radio) stopped() {
	r.mu.Lock()
	r.listening = false
	r.mu.Unlock()
	nudge(r.wake)
}

// listen makes the adapter listen. Step 1 stops it first, step 2 and those above
// switch it off first.
func (r *radio) listen(ctx context.Context, step int) (state string, err error) {
	r.mu.Lock()
	r.listening = true // what stops it from here on is news
	r.mu.Unlock()
	if step == 1 {
		r.note(func(s *adapters.Radio) { s.Restarts++ })
		_ = r.call(ctx, adapterIface+".StopDiscovery") // it may hang, or not be
	}
	if step >= 2 {
		r.note(func(s *adapters.Radio) { s.PowerCycles++ })
		r.log.Warn("nothing is heard: the adapter is switched off and on")
		if err := r.set(ctx, "Powered", false); err != nil {
			return "", err
		}
	}
	if err := r.set(ctx, "Powered", true); err != nil {
		return "", err
	}
	if r.listenPassively(ctx, step) {
		return statePassive, nil
	}
	// BlueZ refuses a filter while a discovery of ours is under way.
	filter := values{"Transport": dbus.MakeVariant("le"), "DuplicateData": dbus.MakeVariant(true)}
	if err := r.call(ctx, adapterIface+".SetDiscoveryFilter", filter); err != nil && !isError(err, "InProgress") {
		return "", err
	}
	if err := r.call(ctx, adapterIface+".StartDiscovery"); err != nil && !isError(err, "InProgress") {
		return "", err
	}
	return stateActive, nil
}

// listenPassively does so where it is offered and enough. Once it has not helped
// it is not tried again.
func (r *radio) listenPassively(ctx context.Context, step int) bool {
	if r.passive != nil {
		r.passive.unregister(ctx, r)
		r.passive = nil
	}
	if step > 0 {
		r.monitor = nil
	}
	if r.monitor == nil {
		return false
	}
	m := r.monitor()
	if m == nil {
		return false
	}
	if err := m.register(ctx, r); err != nil {
		r.log.Info("no passive listening; active instead", "err", explain(err))
		m.unregister(ctx, r)
		r.monitor = nil
		return false
	}
	r.passive = m
	return true
}

// hold says that a connection is made (1) or ended (-1).
func (r *radio) hold(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.held += n
}

func (r *radio) call(ctx context.Context, method string, args ...any) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return r.conn.Object(bluez, r.path).CallWithContext(ctx, method, 0, args...).Err
}

func (r *radio) set(ctx context.Context, name string, value any) error {
	return r.call(ctx, properties+".Set", adapterIface, name, dbus.MakeVariant(value))
}

// explain is err with its cure.
func explain(err error) string {
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Sprintf("bluetoothd does not answer within %s", callTimeout)
	case isError(err, "NotReady", "Blocked"), isError(err, "Failed") && err.Error() == "org.bluez.Error.Blocked":
		return err.Error() + ": the adapter is off; rfkill unblock bluetooth"
	case isError(err, "AccessDenied", "NotAuthorized", "NotPermitted"):
		return err.Error() + ": the user needs the group bluetooth"
	case isError(err, "ServiceUnknown", "NameHasNoOwner"):
		return "bluetoothd does not run: systemctl enable --now bluetooth"
	}
	return err.Error()
}

// rest waits, or until something wakes.
func rest(ctx context.Context, wake <-chan struct{}, long time.Duration) {
	timer := time.NewTimer(long)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-wake:
	case <-timer.C:
	}
}

func nudge(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
