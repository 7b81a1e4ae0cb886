package demo

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// Widths of the timeline's columns, in characters: they fit 100 columns.
const (
	whoWidth  = 8
	whatWidth = 62
)

// timeline prints what happens, one line each: when, who, what, and the
// version of the shadow concerned here (at the gateway) and there (in the
// cloud). It is colourful on a terminal and plain text elsewhere.
type timeline struct {
	out    io.Writer
	colour bool
	start  time.Time

	mu          sync.Mutex
	here, there map[string]int64 // versions by shadow, as last seen by a subscriber
}

func newTimeline(out io.Writer, colour bool) *timeline {
	return &timeline{
		out: out, colour: colour, start: time.Now(),
		here: map[string]int64{}, there: map[string]int64{},
	}
}

// heading opens a scene.
func (t *timeline) heading(text string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	fmt.Fprintf(t.out, "\n%s\n", t.paint("1", text))
	fmt.Fprintf(t.out, "%s\n", t.paint("2", fmt.Sprintf("%6s  %-*s  %-*s %6s %6s", "s", whoWidth, "who", whatWidth, "what", "here", "there")))
}

// say tells what somebody does that has no version of its own.
func (t *timeline) say(who, format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.line(who, fmt.Sprintf(format, args...), "", "")
}

// tell tells something about one shadow, with its two versions.
func (t *timeline) tell(who, shadow, format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.line(who, fmt.Sprintf(format, args...), version(t.here[shadow]), version(t.there[shadow]))
}

// saw records the version of a shadow on one side and reports whether it is new.
func (t *timeline) saw(versions map[string]int64, shadow string, v int64) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if v <= versions[shadow] {
		return false
	}
	versions[shadow] = v
	return true
}

// plain prints a line that is not part of the timeline.
func (t *timeline) plain(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	fmt.Fprintf(t.out, format+"\n", args...)
}

// line prints one line, and what does not fit into it on more below.
func (t *timeline) line(who, what, here, there string) {
	lines := wrap(what)
	pad := func(text string, width int) string {
		return strings.Repeat(" ", max(0, width-utf8.RuneCountInString(text)))
	}
	fmt.Fprintf(t.out, "%s\n", strings.TrimRight(fmt.Sprintf("%6.1f  %s%s  %s%s %6s %6s",
		time.Since(t.start).Seconds(), t.paint(colours[who], who), pad(who, whoWidth),
		lines[0], pad(lines[0], whatWidth), here, there), " "))
	for _, more := range lines[1:] {
		fmt.Fprintf(t.out, "%*s%s\n", 6+2+whoWidth+2+2, "", more)
	}
}

// wrap breaks a text between words into lines of whatWidth at most. A word is
// never cut.
func wrap(text string) []string {
	lines := []string{""}
	for word := range strings.FieldsSeq(text) {
		last := &lines[len(lines)-1]
		switch {
		case *last == "":
			*last = word
		case utf8.RuneCountInString(*last)+1+utf8.RuneCountInString(word) <= whatWidth:
			*last += " " + word
		default:
			lines = append(lines, word)
		}
	}
	return lines
}

// colours are ANSI attributes by actor.
var colours = map[string]string{
	"lamp": "33", "plc": "35", "app": "34", "gateway": "32", "cloud": "36", "panel": "33", "cable": "31",
}

func (t *timeline) paint(attribute, text string) string {
	if !t.colour || attribute == "" {
		return text
	}
	return "\x1b[" + attribute + "m" + text + "\x1b[0m"
}

func version(v int64) string {
	if v == 0 {
		return "-"
	}
	return fmt.Sprintf("v%d", v)
}
