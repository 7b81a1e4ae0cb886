package serial

import (
	"regexp"
	"time"

	"edgeshadow/adapters"
)

// thing is one thing on the line.
type thing struct {
	name     string
	names    []string // of its values
	points   map[string]adapters.Point
	match    *regexp.Regexp // nil: all that extract takes
	refused  *regexp.Regexp // nil: the device never says no
	extract  extractor
	polls    []*poll
	commands map[string]command
	timeout  time.Duration
}

// poll is a request that is sent again and again.
type poll struct {
	request template
	every   time.Duration
	due     time.Time
	answers map[string]bool // the points that answers to it held
}

// command is what writes one point.
type command struct {
	send, read template // read has no parts when nothing is asked
}

// newThing is a thing of a valid section.
func newThing(name string, cfg Thing) *thing {
	t := &thing{
		name: name, names: cfg.Names(), points: cfg.Points, extract: newExtractor(cfg.Config, cfg.Points),
		commands: map[string]command{}, timeout: cfg.timeout(),
	}
	if cfg.Match != "" {
		t.match = regexp.MustCompile(cfg.Match)
	}
	if cfg.Refused != "" {
		t.refused = regexp.MustCompile(cfg.Refused)
	}
	made := func(send string) template {
		made, _ := newTemplate(send, cfg.Frame, cfg.Check) // Validate did it
		return made
	}
	for _, p := range cfg.Poll {
		t.polls = append(t.polls, &poll{request: made(p.Send), every: p.every(), answers: map[string]bool{}})
	}
	for point, c := range cfg.Commands {
		t.commands[point] = command{send: made(c.Send)}
		if c.Read != "" {
			t.commands[point] = command{made(c.Send), made(c.Read)}
		}
	}
	return t
}

// values is what a frame says of the thing; own says that it is the thing's.
func (t *thing) values(frame []byte) ([]value, bool) {
	if t.match != nil && !t.match.MatchString(text(frame)) {
		return nil, false
	}
	return t.extract(frame)
}

func (t *thing) readings(now time.Time, values []value) []adapters.Reading {
	out := make([]adapters.Reading, len(values))
	for i, v := range values {
		out[i] = adapters.Reading{Thing: t.name, Path: v.name, Value: v.value, Quality: v.quality, Time: now}
	}
	return out
}
