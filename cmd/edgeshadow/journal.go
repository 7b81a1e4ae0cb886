package main

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"strings"

	"github.com/coreos/go-systemd/v22/journal"
)

// fieldPrefix is before the names of our fields in the journal, so that
// journalctl EDGESHADOW_THING=boiler finds all of a thing.
const fieldPrefix = "EDGESHADOW_"

// journalHandler sends each record to journald: its text as on a terminal, its
// level as the priority, and each attribute as a field.
type journalHandler struct {
	send   func(message string, priority journal.Priority, fields map[string]string) error
	fields map[string]string
	prefix string // of a group
	text   slog.Handler
	line   *bytes.Buffer // text's
	lock   chan struct{} // capacity 1: holds line
}

func newJournalHandler(send func(string, journal.Priority, map[string]string) error) *journalHandler {
	line := &bytes.Buffer{}
	return &journalHandler{
		send: send, line: line, lock: make(chan struct{}, 1),
		text: slog.NewTextHandler(line, &slog.HandlerOptions{ReplaceAttr: bare}),
	}
}

// bare leaves out what the journal has in fields of its own, and the message,
// which stands in front without quotes.
func bare(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 && (a.Key == slog.TimeKey || a.Key == slog.LevelKey || a.Key == slog.MessageKey) {
		return slog.Attr{}
	}
	return a
}

func (h *journalHandler) Enabled(_ context.Context, level slog.Level) bool {
	return level >= slog.LevelInfo
}

func (h *journalHandler) Handle(ctx context.Context, r slog.Record) error {
	fields := make(map[string]string, len(h.fields)+r.NumAttrs()+1)
	fields["SYSLOG_IDENTIFIER"] = "edgeshadow"
	for k, v := range h.fields {
		fields[k] = v
	}
	r.Attrs(func(a slog.Attr) bool {
		addField(fields, h.prefix, a)
		return true
	})
	h.lock <- struct{}{}
	h.line.Reset()
	err := h.text.Handle(ctx, r)
	message := strings.TrimSpace(r.Message + " " + h.line.String())
	<-h.lock
	if err != nil {
		return err
	}
	return h.send(message, priority(r.Level), fields)
}

func (h *journalHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	next := *h
	next.text = h.text.WithAttrs(attrs)
	next.fields = make(map[string]string, len(h.fields)+len(attrs))
	for k, v := range h.fields {
		next.fields[k] = v
	}
	for _, a := range attrs {
		addField(next.fields, h.prefix, a)
	}
	return &next
}

func (h *journalHandler) WithGroup(name string) slog.Handler {
	next := *h
	next.text, next.prefix = h.text.WithGroup(name), h.prefix+name+"_"
	return &next
}

// addField is an attribute as a field: capital letters, digits and _.
func addField(fields map[string]string, prefix string, a slog.Attr) {
	value := a.Value.Resolve() // a secret hides itself there
	if value.Kind() == slog.KindGroup {
		for _, member := range value.Group() {
			addField(fields, prefix+a.Key+"_", member)
		}
		return
	}
	name := strings.Map(func(r rune) rune {
		switch {
		case r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
			return r
		case r >= 'a' && r <= 'z':
			return r - 'a' + 'A'
		}
		return '_'
	}, prefix+a.Key)
	fields[fieldPrefix+name] = value.String()
}

func priority(level slog.Level) journal.Priority {
	switch {
	case level >= slog.LevelError:
		return journal.PriErr
	case level >= slog.LevelWarn:
		return journal.PriWarning
	case level >= slog.LevelInfo:
		return journal.PriInfo
	}
	return journal.PriDebug
}

// logger writes to the journal when it is what reads standard error, and lines
// of text elsewhere.
func logger(w io.Writer) *slog.Logger {
	if in, err := journal.StderrIsJournalStream(); in && err == nil && journal.Enabled() {
		return slog.New(newJournalHandler(journal.Send))
	}
	return slog.New(slog.NewTextHandler(w, nil))
}
