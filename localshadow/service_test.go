package localshadow_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"edgeshadow/localshadow"
	"edgeshadow/localshadow/shadow"
	"edgeshadow/test/shadowtest"
)

// bench is a service with a clock that stands still and a publisher that
// remembers.
type bench struct {
	*localshadow.Service
	Recorder *shadowtest.Recorder
	told     int
}

var lamp = shadow.ID{Thing: "lamp"}

func open(t testing.TB) *bench {
	t.Helper()
	recorder := &shadowtest.Recorder{}
	s := shadowtest.MustOpenService(t, recorder)
	s.Now = func() time.Time { return time.Unix(1000, 0) }
	return &bench{Service: s, Recorder: recorder}
}

// request sends a request as the broker would and waits for its answer; it
// returns all that was published since the last one, and where PUBACK stood.
func (b *bench) request(t *testing.T, id shadow.ID, op, payload string) []shadowtest.Message {
	t.Helper()
	b.Handle(t.Context(), id, op, []byte(payload), false, func() {
		b.Recorder.Publish("PUBACK", nil)
	})
	// A second request that changes nothing waits for the first.
	other := shadow.ID{Thing: "nobody-knows"}
	if _, err := b.Get(t.Context(), other, nil); err == nil {
		t.Fatal("a shadow out of nothing")
	}
	all := b.Recorder.Messages()
	news := all[b.told:]
	b.told = len(all)
	return news
}

func want(t *testing.T, got []shadowtest.Message, want ...shadowtest.Message) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("messages (-want +got)\n%s", diff)
	}
}

func puback() shadowtest.Message { return shadowtest.Message{Topic: "PUBACK"} }

func message(topic, payload string) shadowtest.Message {
	return shadowtest.Message{Topic: "$aws/things/lamp/shadow/" + topic, Payload: payload}
}

// P4, A4: delta, documents, accepted, after the PUBACK, all in one version and
// with the client token.
func TestService_Update(t *testing.T) {
	b := open(t)
	want(t, b.request(t, lamp, "update", `{"state":{"desired":{"on":true}},"clientToken":"c1"}`),
		puback(),
		message("update/delta", `{"version":1,"timestamp":1000,"state":{"on":true},"metadata":{"on":{"timestamp":1000}},"clientToken":"c1"}`),
		message("update/documents", `{"previous":null,"current":{"state":{"desired":{"on":true}},"metadata":{"desired":{"on":{"timestamp":1000}}},"version":1},"timestamp":1000,"clientToken":"c1"}`),
		message("update/accepted", `{"state":{"desired":{"on":true}},"metadata":{"desired":{"on":{"timestamp":1000}}},"version":1,"timestamp":1000,"clientToken":"c1"}`),
	)
	b.Now = func() time.Time { return time.Unix(900, 0) } // the clock decides nothing
	want(t, b.request(t, lamp, "update", `{"state":{"reported":{"on":true}},"version":1}`),
		puback(),
		message("update/documents", `{"previous":{"state":{"desired":{"on":true}},"metadata":{"desired":{"on":{"timestamp":1000}}},"version":1},"current":{"state":{"desired":{"on":true},"reported":{"on":true}},"metadata":{"desired":{"on":{"timestamp":1000}},"reported":{"on":{"timestamp":900}}},"version":2},"timestamp":900}`),
		message("update/accepted", `{"state":{"reported":{"on":true}},"metadata":{"reported":{"on":{"timestamp":900}}},"version":2,"timestamp":900}`),
	)
	want(t, b.request(t, lamp, "get", `{"clientToken":"g"}`),
		puback(),
		message("get/accepted", `{"state":{"desired":{"on":true},"reported":{"on":true}},"metadata":{"desired":{"on":{"timestamp":1000}},"reported":{"on":{"timestamp":900}}},"version":2,"timestamp":900,"clientToken":"g"}`),
	)
}

// E4: a refusal is acknowledged, told to subscribers of rejected, and changes
// nothing.
func TestService_Rejected(t *testing.T) {
	b := open(t)
	b.request(t, lamp, "update", `{"state":{"desired":{"on":true}}}`)
	for _, r := range []struct{ op, payload, rejected string }{
		{"update", `{"state":{"desired":{"on":false}},"version":7,"clientToken":"c"}`, `{"code":409,"message":"Version conflict","clientToken":"c"}`},
		{"update", `{"state":{"desired":{"on":false}},"version":0}`, `{"code":409,"message":"Version conflict"}`},
		{"update", `{"clientToken":"c"}`, `{"code":400,"message":"Missing required node: state","clientToken":"c"}`},
		{"update", `{"state":`, `{"code":400,"message":"Payload contains invalid json"}`},
	} {
		want(t, b.request(t, lamp, r.op, r.payload), puback(), message("update/rejected", r.rejected))
	}
	doc, err := b.Document(lamp)
	if err != nil || doc.Version != 1 {
		t.Errorf("after refusals: %+v, %v", doc, err)
	}
}

// E2, E3, G5, X3.
func TestService_NoShadow(t *testing.T) {
	b := open(t)
	named := shadow.ID{Thing: "lamp", Name: "wifi"}
	want(t, b.request(t, lamp, "get", ``), puback(), message("get/rejected", `{"code":404,"message":"No shadow exists with name: 'lamp'"}`))
	want(t, b.request(t, named, "get", ``), puback(), message("name/wifi/get/rejected", `{"code":404,"message":"No shadow exists with name: 'lamp~wifi'"}`))
	want(t, b.request(t, lamp, "delete", `{"clientToken":"c"}`), puback(), message("delete/rejected", `{"code":404,"message":"No shadow exists with name: 'lamp'","clientToken":"c"}`))
}

// X1, X2, X4, V7, V8: a delete answers with the last live version and leaves a
// tombstone; what follows it is version N+2.
func TestService_Delete(t *testing.T) {
	b := open(t)
	for range 3 {
		b.request(t, lamp, "update", `{"state":{"desired":{"on":true}}}`)
	}
	want(t, b.request(t, lamp, "delete", `{"version":99,"clientToken":"d"}`),
		puback(), message("delete/accepted", `{"version":3,"timestamp":1000,"clientToken":"d"}`))
	want(t, b.request(t, lamp, "get", ``),
		puback(), message("get/rejected", `{"code":404,"message":"No shadow exists with name: 'lamp'"}`))
	want(t, b.request(t, lamp, "delete", ``),
		puback(), message("delete/rejected", `{"code":404,"message":"No shadow exists with name: 'lamp'"}`))
	want(t, b.request(t, lamp, "update", `{"state":{"desired":{"on":true}},"version":4}`),
		puback(), message("update/rejected", `{"code":409,"message":"Version conflict"}`))
	news := b.request(t, lamp, "update", `{"state":{"reported":{"on":true}}}`)
	want(t, news, puback(),
		message("update/documents", `{"previous":null,"current":{"state":{"reported":{"on":true}},"metadata":{"reported":{"on":{"timestamp":1000}}},"version":5},"timestamp":1000}`),
		message("update/accepted", `{"state":{"reported":{"on":true}},"metadata":{"reported":{"on":{"timestamp":1000}}},"version":5,"timestamp":1000}`))
}

// N1: classic and named shadows are independent. X4, 13: deleted ones and the
// classic one are not listed.
func TestService_Names(t *testing.T) {
	b := open(t)
	for _, id := range []shadow.ID{
		lamp, {Thing: "lamp", Name: "b"}, {Thing: "lamp", Name: "a"}, {Thing: "lamp", Name: "gone"}, {Thing: "lamp", Name: "c"},
		{Thing: "lamp-2", Name: "x"}, {Thing: "lam", Name: "y"},
	} {
		if _, err := b.Update(t.Context(), id, []byte(`{"state":{}}`)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := b.Delete(t.Context(), shadow.ID{Thing: "lamp", Name: "gone"}, nil); err != nil {
		t.Fatal(err)
	}
	for _, r := range []struct {
		thing, after string
		limit        int
		want         []string
	}{
		{"lamp", "", 0, []string{"a", "b", "c"}},
		{"lamp", "", 2, []string{"a", "b"}},
		{"lamp", "b", 2, []string{"c"}},
		{"lamp", "c", 2, nil},
		{"lamp-2", "", 0, []string{"x"}},
		{"nobody", "", 0, nil},
	} {
		got, err := b.Names(r.thing, r.after, r.limit)
		if err != nil || !slices.Equal(got, r.want) {
			t.Errorf("Names(%q, %q, %d) = %q, %v, want %q", r.thing, r.after, r.limit, got, err, r.want)
		}
	}
	var all []string
	if err := b.All(func(id shadow.ID) error { all = append(all, id.String()); return nil }); err != nil {
		t.Fatal(err)
	}
	if want := []string{"lam~y", "lamp-2~x", "lamp", "lamp~a", "lamp~b", "lamp~c"}; !slices.Equal(all, want) {
		t.Errorf("All: %q, want %q", all, want)
	}
}

// P5: what REST and the console do shows on MQTT; what they are refused does not.
func TestService_OtherWaysIn(t *testing.T) {
	b := open(t)
	body, err := b.Update(t.Context(), lamp, []byte(`{"state":{"desired":{"on":true}}}`))
	if err != nil {
		t.Fatal(err)
	}
	accepted := message("update/accepted", string(body))
	if got := b.Recorder.Await(t, "$aws/things/+/shadow/update/accepted"); got != accepted {
		t.Errorf("published %q, returned %q", got, accepted)
	}
	b.Recorder.Await(t, accepted.Topic[:len(accepted.Topic)-len("accepted")]+"delta")
	if _, err := b.Get(t.Context(), lamp, nil); err != nil {
		t.Error(err)
	}
	var refused *shadow.Error
	if _, err := b.Update(t.Context(), lamp, []byte(`{}`)); !errors.As(err, &refused) || refused.Code != 400 {
		t.Errorf("a refusal comes back as %v", err)
	}
	if _, err := b.Update(t.Context(), shadow.ID{Thing: "no/thing"}, []byte(`{"state":{}}`)); !errors.As(err, &refused) || refused.Code != 400 {
		t.Errorf("an impossible name comes back as %v", err)
	}
	reported, err := shadow.Of(map[string]any{"power": 12.5})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Report(t.Context(), lamp, reported.(*shadow.Object)); err != nil {
		t.Error(err)
	}
	if _, err := b.Delete(t.Context(), lamp, nil); err != nil {
		t.Error(err)
	}
	topics := b.Recorder.Topics()
	if want := []string{"update/delta", "update/documents", "update/accepted", "update/delta", "update/documents", "update/accepted", "delete/accepted"}; len(topics) != len(want) {
		t.Errorf("published %q, want %q", topics, want)
	}
}

// V2, V3: concurrent updates of one shadow get distinct, consecutive versions,
// and their messages do not mix.
func TestService_ConcurrentUpdates(t *testing.T) {
	b := open(t)
	const n, each = 16, 40
	var wg sync.WaitGroup
	for w := range n {
		wg.Go(func() {
			for i := range each {
				payload := fmt.Sprintf(`{"state":{"desired":{"w%d":%d}}}`, w, i)
				if w%2 == 0 {
					if _, err := b.Update(t.Context(), lamp, []byte(payload)); err != nil {
						t.Error(err)
					}
					continue
				}
				acked := make(chan struct{})
				b.Handle(t.Context(), lamp, "update", []byte(payload), false, func() { close(acked) })
				<-acked
			}
		})
	}
	wg.Wait()
	b.request(t, lamp, "get", "")
	doc, err := b.Document(lamp)
	if err != nil || doc.Version != n*each {
		t.Fatalf("after %d updates: %+v, %v", n*each, doc, err)
	}
	messages := b.Recorder.Messages()
	for i := range n * each {
		for j, suffix := range []string{"update/delta", "update/documents", "update/accepted"} {
			m := messages[3*i+j]
			if m.Topic != lamp.Topic(suffix) {
				t.Fatalf("message %d is on %s, want %s", 3*i+j, m.Topic, suffix)
			}
			if suffix == "update/documents" {
				continue
			}
			var got struct{ Version int }
			if err := json.Unmarshal([]byte(m.Payload), &got); err != nil || got.Version != i+1 {
				t.Fatalf("message %d has version %d, want %d: %v", 3*i+j, got.Version, i+1, err)
			}
		}
	}
}

type observer func(localshadow.Change)

func (o observer) Changed(c localshadow.Change) { o(c) }

func TestService_Observer(t *testing.T) {
	b := open(t)
	var got []string
	b.Observe(observer(func(c localshadow.Change) {
		version := func(d *shadow.Document) string {
			if d == nil {
				return "-"
			}
			return strconv.FormatInt(d.Version, 10)
		}
		delta := "-"
		if c.Delta != nil {
			delta = string(shadow.Append(nil, c.Delta))
		}
		got = append(got, fmt.Sprintf("%s %s>%s %s", c.ID, version(c.Prev), version(c.Doc), delta))
	}))
	b.request(t, lamp, "update", `{"state":{"desired":{"on":true}}}`)
	b.request(t, lamp, "update", `{"state":{"reported":{"on":true}}}`)
	b.request(t, lamp, "update", `{"state":1}`)
	b.request(t, lamp, "get", ``)
	b.request(t, lamp, "delete", ``)
	if want := []string{`lamp ->1 {"on":true}`, `lamp 1>2 -`, `lamp 2>- -`}; !slices.Equal(got, want) {
		t.Errorf("observed %q, want %q", got, want)
	}
}

// After an unclean stop each outstanding delta is published once more, in the
// version that it had.
func TestService_RepublishDeltas(t *testing.T) {
	b := open(t)
	b.request(t, lamp, "update", `{"state":{"desired":{"on":true}}}`)
	b.request(t, shadow.ID{Thing: "other"}, "update", `{"state":{"desired":{"on":true},"reported":{"on":true}}}`)
	b.request(t, shadow.ID{Thing: "third"}, "update", `{"state":{"desired":{"on":true}}}`)
	b.request(t, shadow.ID{Thing: "third"}, "delete", ``)
	if err := b.RepublishDeltas(t.Context()); err != nil {
		t.Fatal(err)
	}
	want(t, b.Recorder.Messages()[b.told:],
		message("update/delta", `{"version":1,"timestamp":1000,"state":{"on":true},"metadata":{"on":{"timestamp":1000}}}`))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.RepublishDeltas(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("with a context that ended: %v", err)
	}
}

// What could not be stored is not acknowledged.
func TestService_ClosedStore(t *testing.T) {
	store := shadowtest.MustOpenStore(t)
	recorder := &shadowtest.Recorder{}
	s := shadowtest.NewService(t, store, recorder)
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	s.Handle(t.Context(), lamp, "update", []byte(`{"state":{}}`), false, func() { t.Error("acknowledged") })
	if got := recorder.Messages(); len(got) != 0 {
		t.Errorf("published %v", got)
	}
	if _, err := s.Update(t.Context(), lamp, []byte(`{"state":{}}`)); !errors.Is(err, localshadow.ErrClosed) {
		t.Errorf("update: %v", err)
	}
}

// D8: after every accepted update the whole outstanding difference is told, or
// nothing when there is none; a get or a delete tells none.
func TestService_Delta(t *testing.T) {
	b := open(t)
	for _, r := range []struct{ name, op, payload, delta string }{
		{"desired", "update", `{"state":{"desired":{"a":1,"b":2}}}`, `{"a":1,"b":2}`},
		{"reported alone keeps a difference", "update", `{"state":{"reported":{"a":1}}}`, `{"b":2}`},
		{"reported alone makes a difference", "update", `{"state":{"reported":{"a":5}}}`, `{"a":1,"b":2}`},
		{"nothing at all", "update", `{"state":{}}`, `{"a":1,"b":2}`},
		{"a desired key removed, another left", "update", `{"state":{"desired":{"b":null}}}`, `{"a":1}`},
		{"get", "get", ``, ``},
		{"the last desired key removed", "update", `{"state":{"desired":{"a":null}}}`, ``},
		{"in step", "update", `{"state":{"desired":{"c":3},"reported":{"c":3}}}`, ``},
		{"reported cleared: desired is back", "update", `{"state":{"reported":null}}`, `{"c":3}`},
		{"delete", "delete", ``, ``},
	} {
		var got string
		for _, m := range b.request(t, lamp, r.op, r.payload) {
			if m.Topic == lamp.Topic("update/delta") {
				var body struct{ State json.RawMessage }
				if err := json.Unmarshal([]byte(m.Payload), &body); err != nil {
					t.Fatal(err)
				}
				got += string(body.State)
			}
		}
		if got != r.delta {
			t.Errorf("%s: delta %q, want %q", r.name, got, r.delta)
		}
	}
}

// P1, P3, V2, V4: documents follow every accepted update, one that changes
// nothing included, and show sections as a get does.
func TestService_Documents(t *testing.T) {
	b := open(t)
	last := `null`
	for i, r := range []struct{ payload, state, metadata string }{
		{`{"state":{"reported":{"a":1}}}`, `{"reported":{"a":1}}`, `{"reported":{"a":{"timestamp":1000}}}`},
		{`{"state":{"reported":{"a":1}}}`, `{"reported":{"a":1}}`, `{"reported":{"a":{"timestamp":1000}}}`},
		{`{"state":{}}`, `{"reported":{"a":1}}`, `{"reported":{"a":{"timestamp":1000}}}`},
		{`{"state":{"reported":{"a":null}}}`, `{}`, `{}`},
		{`{"state":null}`, `{}`, `{}`},
	} {
		news := b.request(t, lamp, "update", r.payload)
		current := fmt.Sprintf(`{"state":%s,"metadata":%s,"version":%d}`, r.state, r.metadata, i+1)
		if want := message("update/documents", `{"previous":`+last+`,"current":`+current+`,"timestamp":1000}`); !slices.Contains(news, want) {
			t.Errorf("%s: published %v, want %v", r.payload, news, want)
		}
		last = current
	}
}

// N2: one classic shadow and any number of named ones. R9: of a thing that
// nobody registered. L3: a gateway on the LAN refuses nobody for asking often.
func TestService_AnyShadow(t *testing.T) {
	b := open(t)
	const n = 300
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			id := shadow.ID{Thing: "never-registered", Name: fmt.Sprintf("$n-%03d", i)}
			if _, err := b.Update(t.Context(), id, fmt.Appendf(nil, `{"state":{"desired":{"n":%d}},"version":0}`, i)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	b.told = len(b.Recorder.Messages())
	names, err := b.Names("never-registered", "", 0)
	if err != nil || len(names) != n {
		t.Errorf("%d shadows, %v, want %d", len(names), err, n)
	}
	want(t, b.request(t, shadow.ID{Thing: "never-registered"}, "get", ``), puback(),
		shadowtest.Message{Topic: "$aws/things/never-registered/shadow/get/rejected", Payload: `{"code":404,"message":"No shadow exists with name: 'never-registered'"}`})
}

// N4: names are listed page by page, without the classic shadow and what was
// deleted; of an unknown thing there are none.
func TestService_NamesByPage(t *testing.T) {
	b := open(t)
	var all []string
	for i := range 7 {
		all = append(all, fmt.Sprint("s", i))
		b.request(t, shadow.ID{Thing: "lamp", Name: all[i]}, "update", `{"state":{}}`)
	}
	b.request(t, lamp, "update", `{"state":{}}`)
	b.request(t, shadow.ID{Thing: "lamp", Name: "s3"}, "delete", ``)
	all = slices.Delete(all, 3, 4)
	var got []string
	for after := ""; ; after = got[len(got)-1] {
		page, err := b.Names("lamp", after, 2)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		got = append(got, page...)
	}
	if !slices.Equal(got, all) {
		t.Errorf("listed %q, want %q", got, all)
	}
}
