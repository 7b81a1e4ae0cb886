package gateway

import (
	"context"
	"time"

	"edgeshadow/cmd/console"
	"edgeshadow/localshadow"
	"edgeshadow/localshadow/access"
)

type Traffic struct{ t traffic }

func NewTraffic(began time.Time) *Traffic { return &Traffic{traffic{began: began}} }

func (t *Traffic) Add(now time.Time, up, down int64) { t.t.add(now, up, down) }

// Restart is the traffic after a restart: what was kept at one time goes on at
// another.
func (t *Traffic) Restart(kept, began time.Time) *Traffic {
	next := &Traffic{}
	next.t.resume(began, t.t.carried(kept))
	return next
}
func (t *Traffic) Read(now time.Time, up, down int64) console.Traffic {
	return t.t.read(now, up, down)
}

// Floor is the floor over a disk that a test fills.
type Floor struct{ f floor }

func NewFloor(space func() (localshadow.Space, error)) *Floor { return &Floor{floor{space: space}} }

func (f *Floor) Check() error         { return f.f.check() }
func (f *Floor) Status() console.Held { return f.f.status() }

var (
	Stuck    = stuck
	StuckBus = stuckBus
)

// Enroll issues a certificate, as the API does.
func (g *Gateway) Enroll(ctx context.Context, thing string) (access.Bundle, error) {
	return g.access.Enroll(ctx, thing, false)
}
