package localshadow_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"edgeshadow/localshadow"
	"edgeshadow/localshadow/shadow"
)

func object(t *testing.T, text string) *shadow.Object {
	t.Helper()
	v, err := shadow.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return v.(*shadow.Object)
}

func TestService_Sync(t *testing.T) {
	b := open(t)
	b.request(t, lamp, "update", `{"state":{"desired":{"on":true,"level":1.10},"reported":{"on":false}}}`)
	sync := func(fn func(tx *localshadow.SyncTx) error) []string {
		t.Helper()
		if err := b.Sync(t.Context(), lamp, fn); err != nil {
			t.Fatal(err)
		}
		var news []string
		for _, m := range b.Recorder.Messages()[b.told:] {
			news = append(news, strings.TrimPrefix(m.Topic, "$aws/things/lamp/shadow/")+" "+m.Payload)
		}
		b.told += len(news)
		return news
	}
	expect := func(got []string, want ...string) {
		t.Helper()
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("messages (-want +got)\n%s", diff)
		}
	}

	// A record alone tells nobody.
	expect(sync(func(tx *localshadow.SyncTx) error {
		doc, version, err := tx.Local()
		if doc == nil || version != 1 || err != nil {
			t.Errorf("local: %+v, %d, %v", doc, version, err)
		}
		if record, err := tx.Record(); record != nil || err != nil {
			t.Errorf("record of a new shadow: %q, %v", record, err)
		}
		return tx.SetRecord([]byte("base"))
	}))
	// An equal state is no change.
	expect(sync(func(tx *localshadow.SyncTx) error {
		return tx.SetLocal(shadow.State{Desired: object(t, `{"level":1.1,"on":true}`), Reported: object(t, `{"on":false}`)})
	}))
	// A change publishes what an update does, in the next version; what did not
	// change keeps its metadata.
	b.Now = func() time.Time { return time.Unix(2000, 0) }
	expect(sync(func(tx *localshadow.SyncTx) error {
		if record, err := tx.Record(); string(record) != "base" || err != nil {
			t.Errorf("record: %q, %v", record, err)
		}
		return tx.SetLocal(shadow.State{Desired: object(t, `{"on":true}`), Reported: object(t, `{"on":false}`)})
	}),
		`update/delta {"version":2,"timestamp":2000,"state":{"on":true},"metadata":{"on":{"timestamp":1000}}}`,
		`update/documents {"previous":{"state":{"desired":{"on":true,"level":1.10},"reported":{"on":false}},"metadata":{"desired":{"on":{"timestamp":1000},"level":{"timestamp":1000}},"reported":{"on":{"timestamp":1000}}},"version":1},"current":{"state":{"desired":{"on":true},"reported":{"on":false}},"metadata":{"desired":{"on":{"timestamp":1000}},"reported":{"on":{"timestamp":1000}}},"version":2},"timestamp":2000}`,
		`update/accepted {"state":{"desired":{"level":null}},"metadata":{"desired":{"level":{"timestamp":2000}}},"version":2,"timestamp":2000}`,
	)
	// All or nothing.
	failed := errors.New("failed")
	err := b.Sync(t.Context(), lamp, func(tx *localshadow.SyncTx) error {
		if err := errors.Join(tx.SetLocal(shadow.State{}), tx.SetRecord(nil), tx.AppendDecision([]byte("no"))); err != nil {
			t.Error(err)
		}
		return failed
	})
	if !errors.Is(err, failed) {
		t.Errorf("error of fn: %v", err)
	}
	expect(sync(func(tx *localshadow.SyncTx) error {
		doc, version, err := tx.Local()
		if doc == nil || version != 2 || err != nil {
			t.Errorf("after a failure: %+v, %d, %v", doc, version, err)
		}
		if record, err := tx.Record(); string(record) != "base" || err != nil {
			t.Errorf("after a failure: %q, %v", record, err)
		}
		return nil
	}))
	// A delete leaves a tombstone; the record stays until it is removed.
	news := sync(func(tx *localshadow.SyncTx) error { return tx.DeleteLocal() })
	if len(news) != 1 || !strings.HasPrefix(news[0], `delete/accepted {"version":2,`) {
		t.Errorf("delete published %q", news)
	}
	expect(sync(func(tx *localshadow.SyncTx) error {
		if err := tx.DeleteLocal(); err != nil {
			return err
		}
		doc, version, err := tx.Local()
		if doc != nil || version != 3 {
			t.Errorf("tombstone: %+v, %d", doc, version)
		}
		return err
	}))
	var records []string
	collect := func() []string {
		records = nil
		if err := b.Records(func(id shadow.ID, record []byte, _ int64, local bool) error {
			records = append(records, fmt.Sprintf("%s %q %v", id, record, local))
			return nil
		}); err != nil {
			t.Error(err)
		}
		return records
	}
	if _, err := b.Update(t.Context(), shadow.ID{Thing: "lamp", Name: "x"}, []byte(`{"state":{}}`)); err != nil {
		t.Fatal(err)
	}
	b.told = len(b.Recorder.Messages())
	if diff := cmp.Diff([]string{`lamp "base" false`, `lamp~x "" true`}, collect()); diff != "" {
		t.Errorf("records (-want +got)\n%s", diff)
	}
	// Re-creation goes on above the tombstone (V7).
	news = sync(func(tx *localshadow.SyncTx) error {
		if err := tx.SetRecord(nil); err != nil {
			return err
		}
		return tx.SetLocal(shadow.State{Reported: object(t, `{"on":true}`)})
	})
	if len(news) != 2 || !strings.Contains(news[0], `"previous":null`) || !strings.Contains(news[0], `"version":4`) {
		t.Errorf("re-creation published %q", news)
	}
	if diff := cmp.Diff([]string{`lamp "" true`, `lamp~x "" true`}, collect()); diff != "" {
		t.Errorf("records (-want +got)\n%s", diff)
	}
}

func TestService_Decisions(t *testing.T) {
	b := open(t)
	named := shadow.ID{Thing: "lamp", Name: "x"}
	for i := range 1100 {
		id := lamp
		if i%10 == 0 {
			id = named
		}
		err := b.Sync(t.Context(), id, func(tx *localshadow.SyncTx) error {
			return tx.AppendDecision(fmt.Append(nil, i))
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, r := range []struct {
		id          *shadow.ID
		n           int
		first, last string
	}{
		{nil, 1000, "100", "1099"}, {&lamp, 64, "1029", "1099"}, {&named, 64, "460", "1090"}, {&shadow.ID{Thing: "none"}, 0, "", ""},
	} {
		got, err := b.Decisions(r.id)
		if err != nil || len(got) != r.n {
			t.Errorf("%v: %d decisions, %v, want %d", r.id, len(got), err, r.n)
			continue
		}
		if r.n > 0 && (string(got[0]) != r.first || string(got[r.n-1]) != r.last) {
			t.Errorf("%v: from %s to %s, want %s to %s", r.id, got[0], got[r.n-1], r.first, r.last)
		}
	}
}
