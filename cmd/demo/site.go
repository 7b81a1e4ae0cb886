package demo

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"edgeshadow/bridge/upstream"
	"edgeshadow/cmd/gateway"
	"edgeshadow/config"
	"edgeshadow/test/linktest"
)

// site is the whole scene: everything listens on loopback.
type site struct {
	folder string
	t      *timeline
	run    *errgroup.Group

	cloud, gateway               *gateway.Gateway
	cloudAddress, gatewayAddress string // MQTT
	cable                        *linktest.Proxy
	plc                          *plc
	lamp                         *lamp
	app, panel                   *client
	watchHere, watchThere        *client
	shadows                      *shadows
}

const cloudYAML = `# The demo's "cloud": a shadow service with a broker of its own.
config_version: 1
gateway: {thing: cloud}
store: {path: %s}
broker:
  listeners:
    - {address: "%s"}
`

const gatewayYAML = `# The demo's gateway. A real one differs in the endpoint, and has certificates.
config_version: 1
gateway: {thing: gw-demo}
store: {path: %s}
broker:
  listeners:
    - {address: "%s"}
cloud:
  endpoint: mqtt://%s
`

const siteYAML = `# A boiler behind a PLC, as conf.d/*.yaml describes a user's devices.
buses:
  plc: {type: modbus-tcp, host: "%s"}
things:
  boiler:
    bus: plc
    unit: 1
    every: 500ms
    points:
      water_temp: {at: "input:0", type: int16, scale: 0.1, unit: "°C", deadband: 2}
      burner_on:  {at: "discrete:4"}
      setpoint:   {at: "holding:11", type: int16, scale: 0.1, unit: "°C", write: true, min: 5, max: 80}
`

// open builds the scene and starts all of it but the clients. Everything ends
// with ctx.
func open(ctx context.Context, t *timeline) (*site, error) {
	folder, err := os.MkdirTemp("", "edgeshadow-demo-")
	if err != nil {
		return nil, err
	}
	s := &site{folder: folder, t: t, shadows: newShadows(t)}
	s.run, ctx = errgroup.WithContext(ctx)

	if s.cloud, s.cloudAddress, err = s.start(ctx, "cloud", func(address string) map[string]string {
		return map[string]string{"edgeshadow.yaml": fmt.Sprintf(cloudYAML, s.path("cloud", "data"), address)}
	}); err != nil {
		return nil, err
	}
	s.cable = linktest.New(s.cloudAddress)
	if err := s.cable.Listen("127.0.0.1:0"); err != nil {
		return nil, err
	}
	context.AfterFunc(ctx, func() { _ = s.cable.Close() })
	if s.plc, err = startPLC(func(celsius float64) { t.tell("plc", "boiler", "set-point register written: %.1f °C", celsius) }); err != nil {
		return nil, err
	}
	s.run.Go(func() error { return s.plc.Run(ctx) })
	if s.gateway, s.gatewayAddress, err = s.start(ctx, "gateway", func(address string) map[string]string {
		return map[string]string{
			"edgeshadow.yaml":  fmt.Sprintf(gatewayYAML, s.path("gateway", "data"), address, s.cable.Addr()),
			"conf.d/site.yaml": fmt.Sprintf(siteYAML, s.plc.server.Addr()),
		}
	}); err != nil {
		return nil, err
	}

	return s, nil
}

// connect brings the MQTT clients up: the devices, the application, and two
// that only watch. They live as long as run does; the wait for them ends with ctx.
func (s *site) connect(ctx, run context.Context) error {
	documents := []string{"$aws/things/+/shadow/update/documents", "$aws/things/+/shadow/name/+/update/documents"}
	s.watchHere = newClient(s.gatewayAddress, "demo-watch", documents, s.shadows.here)
	s.watchThere = newClient(s.cloudAddress, "demo-watch", documents, s.shadows.there)
	s.lamp = newLamp(run, s.gatewayAddress, s.t)
	s.panel = newClient(s.gatewayAddress, "panel", nil, nil)
	s.app = newClient(s.cloudAddress, "app", nil, nil)
	for _, c := range []*client{s.watchHere, s.watchThere, s.lamp.client, s.panel, s.app} {
		s.run.Go(func() error { return c.Run(run) })
		if err := c.connected(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (s *site) path(parts ...string) string {
	return filepath.Join(append([]string{s.folder}, parts...)...)
}

// socket is where a side's API listens.
func (s *site) socket(side string) string { return s.path(side, "api.sock") }

// quick is how the demo's gateway comes back: the outage is short, and somebody
// is watching.
var quick = upstream.Backoff{Min: 200 * time.Millisecond, Max: time.Second, Stable: time.Second}

// start writes a configuration, reads it as the daemon does, and runs a gateway.
func (s *site) start(ctx context.Context, side string, files func(address string) map[string]string) (*gateway.Gateway, string, error) {
	address, err := freeAddress()
	if err != nil {
		return nil, "", err
	}
	for name, text := range files(address) {
		path := s.path(side, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return nil, "", err
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			return nil, "", err
		}
	}
	cfg, err := config.Load(s.path(side, "edgeshadow.yaml"))
	if err != nil {
		return nil, "", err
	}
	logFile, err := os.Create(s.path(side, "log"))
	if err != nil {
		return nil, "", err
	}
	g, err := gateway.Open(cfg, gateway.Options{
		Version: "demo",
		Socket:  s.socket(side), Log: slog.New(slog.NewTextHandler(logFile, nil)), Backoff: quick,
		File: s.path(side, "edgeshadow.yaml"),
	})
	if err != nil {
		return nil, "", err
	}
	s.run.Go(func() error {
		err := g.Run(ctx)
		return errors.Join(err, logFile.Close())
	})
	return g, address, nil
}

// freeAddress is a loopback port that nobody listens on.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}
