package main

import (
	"errors"
	"log/slog"
	"testing"

	"github.com/coreos/go-systemd/v22/journal"
	"github.com/google/go-cmp/cmp"
)

// secret hides itself.
type secret string

func (secret) LogValue() slog.Value { return slog.StringValue("(hidden)") }

// A record becomes a readable message, a priority and fields to search by.
func TestJournalHandler(t *testing.T) {
	type entry struct {
		Message  string
		Priority journal.Priority
		Fields   map[string]string
	}
	var got []entry
	log := slog.New(newJournalHandler(func(message string, p journal.Priority, fields map[string]string) error {
		if fields["SYSLOG_IDENTIFIER"] != "edgeshadow" {
			t.Errorf("identifier %q", fields["SYSLOG_IDENTIFIER"])
		}
		delete(fields, "SYSLOG_IDENTIFIER")
		got = append(got, entry{message, p, fields})
		return nil
	}))
	log.Debug("not worth it")
	log.Info("ready", "thing", "gw-1", "boot", 3)
	log.With("bus", "plc").WithGroup("retry").Warn("link lost", "err", errors.New("no route"), "count", 2)
	log.Error("refused", "pass-word", secret("sesame"))
	want := []entry{
		{"ready thing=gw-1 boot=3", journal.PriInfo, map[string]string{"EDGESHADOW_THING": "gw-1", "EDGESHADOW_BOOT": "3"}},
		{`link lost bus=plc retry.err="no route" retry.count=2`, journal.PriWarning,
			map[string]string{"EDGESHADOW_BUS": "plc", "EDGESHADOW_RETRY_ERR": "no route", "EDGESHADOW_RETRY_COUNT": "2"}},
		{"refused pass-word=(hidden)", journal.PriErr, map[string]string{"EDGESHADOW_PASS_WORD": "(hidden)"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
}
