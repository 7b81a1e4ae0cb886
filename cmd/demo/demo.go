package demo

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"edgeshadow/localshadow/shadow"
)

// ErrDiffer is a demo at whose end the two sides are not equal.
var ErrDiffer = errors.New("the two sides are not equal")

// patience is how long the demo waits for what must happen: the whole story
// takes less than half of it.
const patience = 25 * time.Second

// Run plays the site and tells it to out, in colour if asked. Once: it ends by
// itself; else it stays up until ctx ends. It returns ErrDiffer when a shadow
// is not equal on both sides at the end of the story.
func Run(ctx context.Context, out io.Writer, colour, once bool) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	t := newTimeline(out, colour)
	s, err := open(ctx, t)
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	t.plain("edgeshadow demo: a whole site in one process, on loopback")
	t.plain("  cloud    MQTT  %s", s.cloudAddress)
	t.plain("  gateway  MQTT  %s   uplink through a cable that can be cut", s.gatewayAddress)
	t.plain("  plc      Modbus TCP %s", s.plc.server.Addr())
	t.plain("  files    %s", s.folder)

	story, done := context.WithTimeout(ctx, patience)
	t.heading("Starting")
	if err = s.connect(story, ctx); err == nil {
		err = s.play(story)
	}
	done()
	if err == nil && !once {
		s.invite()
		<-ctx.Done()
	}
	cancel()
	if stop := s.run.Wait(); stop != nil && !errors.Is(stop, context.Canceled) {
		err = errors.Join(err, stop)
	}
	return err
}

// invite prints lines to paste into another terminal.
func (s *site) invite() {
	port, cloud := port(s.gatewayAddress), port(s.cloudAddress)
	edgeshadow := "EDGESHADOW_SOCKET=" + s.socket("gateway") + " " + program()
	s.t.plain("\nIt stays up until Ctrl-C. In another terminal, watch:")
	s.t.plain("  mosquitto_sub -h 127.0.0.1 -p %s -v -t '$aws/things/lamp/shadow/#'", port)
	s.t.plain("  %s shadow watch boiler", edgeshadow)
	s.t.plain("be the application in the cloud:")
	s.t.plain("  mosquitto_pub -h 127.0.0.1 -p %s -t '$aws/things/lamp/shadow/update' -m '{\"state\":{\"desired\":{\"power\":\"on\"}}}'", cloud)
	s.t.plain("  mosquitto_pub -h 127.0.0.1 -p %s -t '$aws/things/boiler/shadow/update' -m '{\"state\":{\"desired\":{\"setpoint\":70}}}'", cloud)
	s.t.plain("and ask the gateway why:")
	s.t.plain("  %s status", edgeshadow)
	s.t.plain("  %s sync log", edgeshadow)
	s.t.plain("Its configuration: %s and %s", s.path("gateway", "edgeshadow.yaml"), s.path("gateway", "conf.d", "site.yaml"))
}

// program is how this program is called: by its name where a shell finds it
// under it, by its path where it was built for this run.
func program() string {
	self, err := os.Executable()
	if err != nil {
		return "edgeshadow"
	}
	if found, err := exec.LookPath(filepath.Base(self)); err == nil && found == self {
		return filepath.Base(self)
	}
	return self
}

// compare prints every shadow with its version on both sides and tells whether
// all are equal.
func (s *site) compare() (bool, error) {
	names := map[shadow.ID]bool{}
	collect := func(id shadow.ID) error {
		names[id] = true
		return nil
	}
	if err := errors.Join(s.gateway.Service().All(collect), s.cloud.Service().All(collect)); err != nil {
		return false, err
	}
	equal := true
	for _, id := range slices.SortedFunc(maps.Keys(names), func(a, b shadow.ID) int { return cmp.Compare(a.String(), b.String()) }) {
		here, err := s.gateway.Service().Document(id)
		if err != nil {
			return false, err
		}
		there, err := s.cloud.Service().Document(id)
		if err != nil {
			return false, err
		}
		verdict := "equal"
		if !same(here, there) {
			verdict, equal = "NOT EQUAL", false
		}
		s.t.plain("  %-24s here v%-4d there v%-4d %s", id, versionOf(here), versionOf(there), verdict)
	}
	return equal, nil
}

func same(a, b *shadow.Document) bool {
	return a != nil && b != nil && shadow.Diff(a.State, b.State) == nil
}

func versionOf(d *shadow.Document) int64 {
	if d == nil {
		return 0
	}
	return d.Version
}

func port(address string) string {
	_, port, _ := net.SplitHostPort(address)
	return port
}
