package registry_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"edgeshadow/localshadow/registry"
	"edgeshadow/localshadow/shadow"
	"edgeshadow/test/shadowtest"
)

func MustOpen(tb testing.TB, dir string, cfg registry.Config) *registry.Registry {
	tb.Helper()
	r, err := registry.Open(cfg, shadowtest.MustOpenStoreAt(tb, dir), shadowtest.Log(tb))
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

// wantError tells that an error has an AWS name.
func wantError(tb testing.TB, err error, exception string) {
	tb.Helper()
	var e *registry.Error
	if !errors.As(err, &e) || e.Exception != exception {
		tb.Errorf("%v, want %s", err, exception)
	}
}

var volatile = cmpopts.IgnoreFields(registry.Thing{}, "ID", "Created", "Touched")

func TestRegistry_Versions(t *testing.T) {
	r, ctx := MustOpen(t, t.TempDir(), registry.Config{}), t.Context()
	var told []string
	r.Changed = func(name string) { told = append(told, name) }
	one, err := r.Create(ctx, "pump", "", map[string]string{"room": "hall"})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(registry.Thing{Name: "pump", Attributes: map[string]string{"room": "hall"}, Version: 1}, one, volatile); diff != "" || len(one.ID) != 36 {
		t.Errorf("%s %s", one.ID, diff)
	}
	// The same once more is no error and no change; another is.
	if again, err := r.Create(ctx, "pump", "", map[string]string{"room": "hall"}); err != nil || again.Version != 1 || again.ID != one.ID {
		t.Errorf("%+v %v", again, err)
	}
	_, err = r.Create(ctx, "pump", "heater", nil)
	wantError(t, err, "ResourceAlreadyExistsException")

	kind := "pump"
	two, err := r.Update(ctx, "pump", registry.Change{Type: &kind, Attributes: map[string]string{"floor": "1"}, Merge: true, Expected: 1})
	if err != nil || two.Version != 2 || two.Type != "pump" || len(two.Attributes) != 2 {
		t.Errorf("%+v %v", two, err)
	}
	_, err = r.Update(ctx, "pump", registry.Change{Expected: 1})
	wantError(t, err, "VersionConflictException")
	// An empty value removes, and without merge nothing else stays.
	three, err := r.Update(ctx, "pump", registry.Change{Attributes: map[string]string{"floor": "", "a": "b"}})
	if diff := cmp.Diff(map[string]string{"a": "b"}, three.Attributes); err != nil || diff != "" || three.Version != 3 {
		t.Errorf("%+v %v", three, err)
	}
	wantError(t, r.Delete(ctx, "pump", 2), "VersionConflictException")
	if err := errors.Join(r.Delete(ctx, "pump", 3), r.Delete(ctx, "pump", 0), r.Delete(ctx, "never", 0)); err != nil {
		t.Error(err)
	}
	_, err = r.Update(ctx, "pump", registry.Change{})
	wantError(t, err, "ResourceNotFoundException")
	if diff := cmp.Diff([]string{"pump", "pump", "pump", "pump"}, told); diff != "" {
		t.Error(diff)
	}
}

func TestRegistry_Limits(t *testing.T) {
	r, ctx := MustOpen(t, t.TempDir(), registry.Config{}), t.Context()
	many := func(n int) map[string]string {
		out := map[string]string{}
		for i := range n {
			out[fmt.Sprint("a", i)] = "v"
		}
		return out
	}
	for name, try := range map[string]func() error{
		"name":              func() error { _, err := r.Create(ctx, "a/b", "", nil); return err },
		"long name":         func() error { _, err := r.Create(ctx, strings.Repeat("x", 129), "", nil); return err },
		"type":              func() error { _, err := r.Create(ctx, "a", "t t", nil); return err },
		"4 without a type":  func() error { _, err := r.Create(ctx, "a", "", many(4)); return err },
		"51 with a type":    func() error { _, err := r.Create(ctx, "a", "t", many(51)); return err },
		"attribute's name":  func() error { _, err := r.Create(ctx, "a", "", map[string]string{"a b": "c"}); return err },
		"attribute's value": func() error { _, err := r.Create(ctx, "a", "", map[string]string{"a": "b c"}); return err },
		"long value": func() error {
			_, err := r.Create(ctx, "a", "", map[string]string{"a": strings.Repeat("x", 801)})
			return err
		},
		"by an update as well": func() error { _, err := r.Put(ctx, "a", registry.Change{Attributes: many(4)}); return err },
	} {
		t.Run(name, func(t *testing.T) { wantError(t, try(), "InvalidRequestException") })
	}
	if _, err := r.Create(ctx, "a", "t", many(50)); err != nil {
		t.Error(err)
	}
}

// Entries outlive a restart; those of a file are shown and not changed.
func TestRegistry_Reopen(t *testing.T) {
	dir, ctx := t.TempDir(), t.Context()
	store := shadowtest.MustOpenStoreAt(t, dir)
	r, err := registry.Open(registry.Config{}, store, nil)
	if err != nil {
		t.Fatal(err)
	}
	want, err := r.Create(ctx, "pump", "pump", map[string]string{"a": "b"})
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	r = MustOpen(t, dir, registry.Config{})
	got, err := r.Get("pump")
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Error(err, diff)
	}
	r.Configure([]registry.Thing{{Name: "boiler", Type: "heater"}})
	_, err = r.Update(ctx, "boiler", registry.Change{})
	wantError(t, err, "ConflictingResourceUpdateException")
	var names []string
	for _, thing := range r.List() {
		names = append(names, fmt.Sprint(thing.Name, " ", thing.Configured))
	}
	if diff := cmp.Diff([]string{"boiler true", "pump false"}, names); diff != "" {
		t.Error(diff)
	}
}

// caller may do what is in it.
type caller map[string]bool

func (c caller) May(action, resource string) bool { return c[action+" "+resource] }
func (c caller) Refused(action, resource string)  { c["refused "+action+" "+resource] = true }

// exchange is a request, METHOD TARGET, and what the answer has: in its error type
// or its body is want.
type exchange struct {
	request, body string
	status        int
	want          string
}

// expect makes requests, one after the other.
func expect(t *testing.T, api *registry.API, exchanges []exchange) {
	t.Helper()
	for _, e := range exchanges {
		method, target, _ := strings.Cut(e.request, " ")
		w := httptest.NewRecorder()
		api.ServeHTTP(w, httptest.NewRequest(method, target, strings.NewReader(e.body)))
		body, _ := io.ReadAll(w.Body)
		if all := w.Header().Get("x-amzn-ErrorType") + string(body); w.Code != e.status || !strings.Contains(all, e.want) {
			t.Errorf("%s: %d %s, want %d %s", e.request, w.Code, all, e.status, e.want)
		}
	}
}

func TestAPI(t *testing.T) {
	r := MustOpen(t, t.TempDir(), registry.Config{})
	admin := caller{
		"iot:CreateThing pump": true, "iot:DescribeThing pump": true, "iot:UpdateThing pump": true, "iot:DeleteThing pump": true,
		"iot:ListThings ": true, "iot:CreateThing tap": true,
	}
	api := &registry.API{Registry: r, CallerOf: func(context.Context) registry.Caller { return admin }}
	expect(t, api, []exchange{
		{"GET /things/pump", "", 404, "ResourceNotFoundException"},
		{"POST /things/pump", `{"thingTypeName":"pump","attributePayload":{"attributes":{"room":"hall"}}}`, 200, `"thingArn":"arn:aws:iot:::thing/pump"`},
		{"GET /things/pump", "", 200, `"attributes":{"room":"hall"},"version":1`},
		{"PATCH /things/pump", `{"attributePayload":{"attributes":{"a":"b"},"merge":true},"expectedVersion":1}`, 200, `{}`},
		{"PATCH /things/pump", `{"expectedVersion":1}`, 409, "VersionConflictException"},
		{"PUT /things/pump", `{"removeThingType":true}`, 200, `"attributes":{"a":"b","room":"hall"},"version":3`},
		{"PUT /things/tap", `{}`, 200, `"thingName":"tap"`},
		{"PUT /things/tap", `{}`, 403, "ForbiddenException"}, // it is there: that is an update
		{"GET /things", "", 200, `"thingName":"tap"`},
		{"GET /things?maxResults=1", "", 200, `"nextToken":"pump"`},
		{"GET /things?maxResults=1&nextToken=pump", "", 200, `{"things":[{"defaultClientId":"tap"`},
		{"GET /things?attributeName=room&attributeValue=cellar", "", 200, `{"things":[]}`},
		{"GET /things?maxResults=0", "", 400, "InvalidRequestException"},
		{"PUT /things/pump", `{`, 400, "Payload contains invalid json"},
		{"PUT /things/pump", strings.Repeat(" ", 64<<10) + "{}", 413, "RequestEntityTooLargeException"},
		{"GET /things/other", "", 403, "ForbiddenException"},
		{"GET /things/pu%2Fmp", "", 400, "Invalid thing name"},
		{"GET /things/pump%2F..%2Fother", "", 400, "Invalid thing name"},
		{"DELETE /things/pump?expectedVersion=x", "", 400, "InvalidRequestException"},
		{"DELETE /things/pump?expectedVersion=3", "", 200, "{}"},
		{"DELETE /things/pump", "", 200, "{}"},
		{"GET /elsewhere", "", 404, "No such resource"},
	})
	if !admin["refused iot:DescribeThing other"] {
		t.Error("a refusal was not told")
	}
	api.CallerOf = func(context.Context) registry.Caller { return nil }
	w := httptest.NewRecorder()
	api.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/things", nil))
	if w.Code != 403 {
		t.Errorf("nobody: %d", w.Code)
	}
}

// What nobody touches for long enough goes; what is touched, configured or
// young stays; and without the setting nothing goes.
func TestRegistry_Sweep(t *testing.T) {
	for name, tt := range map[string]struct {
		cfg              registry.Expiry
		shadows, entries int
	}{
		"off":     {registry.Expiry{}, 2, 3},
		"young":   {registry.Expiry{Things: time.Hour, Shadows: time.Hour}, 2, 3},
		"shadows": {registry.Expiry{Shadows: 1}, 0, 3},
		"things":  {registry.Expiry{Things: 1}, 2, 1},
		"both":    {registry.Expiry{Things: 1, Shadows: 1}, 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			store, ctx := shadowtest.MustOpenStore(t), t.Context()
			service := shadowtest.NewService(t, store, nil)
			r, err := registry.Open(registry.Config{ExpireAfter: tt.cfg}, store, nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Configure([]registry.Thing{{Name: "boiler"}})
			for _, thing := range []string{"pump", "tap"} {
				if _, err := r.Create(ctx, thing, "", nil); err != nil {
					t.Fatal(err)
				}
				id := shadow.ID{Thing: thing}
				if _, err := service.Update(ctx, id, []byte(`{"state":{"reported":{"a":1}}}`)); err != nil {
					t.Fatal(err)
				}
				r.Touch(id)
			}
			if err := r.Sweep(ctx, service); err != nil {
				t.Fatal(err)
			}
			shadows := 0
			if err := service.All(func(shadow.ID) error { shadows++; return nil }); err != nil {
				t.Fatal(err)
			}
			if entries := len(r.List()); shadows != tt.shadows || entries != tt.entries {
				t.Errorf("%d shadows and %d entries, want %d and %d", shadows, entries, tt.shadows, tt.entries)
			}
		})
	}
}

// When a shadow was touched is known after a restart, and a new setting does
// not end what was there before it at once.
func TestRegistry_SweepAgain(t *testing.T) {
	dir, ctx := t.TempDir(), t.Context()
	store := shadowtest.MustOpenStoreAt(t, dir)
	service := shadowtest.NewService(t, store, nil)
	if _, err := service.Update(ctx, shadow.ID{Thing: "old"}, []byte(`{"state":{"reported":{"a":1}}}`)); err != nil {
		t.Fatal(err)
	}
	r, err := registry.Open(registry.Config{ExpireAfter: registry.Expiry{Shadows: time.Hour}}, store, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(r.Sweep(ctx, service), store.Close()); err != nil {
		t.Fatal(err)
	}
	store = shadowtest.MustOpenStoreAt(t, dir)
	service = shadowtest.NewService(t, store, nil)
	r, err = registry.Open(registry.Config{ExpireAfter: registry.Expiry{Shadows: 1}}, store, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Sweep(ctx, service); err != nil {
		t.Fatal(err)
	}
	if d, err := service.Document(shadow.ID{Thing: "old"}); err != nil || d != nil {
		t.Errorf("%+v is still there, %v", d, err)
	}
}

func TestConfig_Validate(t *testing.T) {
	c := registry.Config{ExpireAfter: registry.Expiry{Things: time.Minute}}
	if faults := c.Validate(); len(faults) != 1 || faults[0].Error() != "expire_after.things: 1m0s; want at least 1h0m0s, or 0 for never" {
		t.Error(faults)
	}
	if faults := (registry.Config{ExpireAfter: registry.Expiry{Things: 168 * time.Hour}}).Validate(); len(faults) > 0 {
		t.Error(faults)
	}
}
