package registry_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"edgeshadow/localshadow"
	"edgeshadow/localshadow/registry"
	"edgeshadow/test/shadowtest"
)

var volatileType = cmpopts.IgnoreFields(registry.Type{}, "ID", "Created", "DeprecatedOn", "DeprecatedAge")

func TestRegistry_Types(t *testing.T) {
	r, ctx := MustOpen(t, t.TempDir(), registry.Config{}), t.Context()
	one, err := r.CreateType(ctx, "pump", "circulation pumps", []string{"room"})
	if err != nil {
		t.Fatal(err)
	}
	want := registry.Type{Name: "pump", Description: "circulation pumps", Searchable: []string{"room"}}
	if diff := cmp.Diff(want, one, volatileType); diff != "" || len(one.ID) != 36 || one.Created.IsZero() {
		t.Errorf("%+v %s", one, diff)
	}
	if again, err := r.CreateType(ctx, "pump", "circulation pumps", []string{"room"}); err != nil || again.ID != one.ID {
		t.Errorf("the same once more: %+v %v", again, err)
	}
	_, err = r.CreateType(ctx, "pump", "other", []string{"room"})
	wantError(t, err, "ResourceAlreadyExistsException")
	_, err = r.CreateType(ctx, "pump", "circulation pumps", nil)
	wantError(t, err, "ResourceAlreadyExistsException")

	// What things have is there by its name, until it is described.
	r.Configure([]registry.Thing{{Name: "boiler", Type: "heater"}})
	if _, err := r.Create(ctx, "tap", "valve", nil); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]registry.Type{{Name: "heater"}, want, {Name: "valve"}}, r.Types(), volatileType); diff != "" {
		t.Error(diff)
	}
	if got, err := r.Type("heater"); err != nil || got.ID != "" {
		t.Errorf("%+v %v", got, err)
	}
	wantError(t, r.Deprecate(ctx, "heater", true), "ResourceNotFoundException")
	if got, err := r.CreateType(ctx, "heater", "", nil); err != nil || got.ID == "" {
		t.Errorf("%+v %v", got, err)
	}
	_, err = r.Type("none")
	wantError(t, err, "ResourceNotFoundException")
	_, err = r.Type("")
	wantError(t, err, "ResourceNotFoundException")
}

func TestRegistry_TypeLimits(t *testing.T) {
	r, ctx := MustOpen(t, t.TempDir(), registry.Config{}), t.Context()
	for name, tt := range map[string]registry.Type{
		"name":             {Name: "a/b"},
		"no name":          {Name: ""},
		"long name":        {Name: strings.Repeat("x", 129)},
		"description":      {Name: "a", Description: strings.Repeat("ä", 2029)},
		"a control":        {Name: "a", Description: "\x1b[2J"},
		"no UTF-8":         {Name: "a", Description: "\xff"},
		"4 searchable":     {Name: "a", Searchable: []string{"a", "b", "c", "d"}},
		"searchable twice": {Name: "a", Searchable: []string{"a", "a"}},
		"attribute's name": {Name: "a", Searchable: []string{"a b"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := r.CreateType(ctx, tt.Name, tt.Description, tt.Searchable)
			wantError(t, err, "InvalidRequestException")
		})
	}
	if _, err := r.CreateType(ctx, strings.Repeat("x", 128), strings.Repeat("ä", 2028), []string{"a", "b", "c"}); err != nil {
		t.Error(err)
	}
}

// No further thing can have a deprecated type, however it would come by it;
// those that have it keep it.
func TestRegistry_Deprecate(t *testing.T) {
	r, ctx := MustOpen(t, t.TempDir(), registry.Config{}), t.Context()
	_, err1 := r.CreateType(ctx, "pump", "", nil)
	_, err2 := r.Create(ctx, "old", "pump", nil)
	_, err3 := r.Create(ctx, "plain", "", nil)
	if err := errors.Join(err1, err2, err3, r.Deprecate(ctx, "pump", true)); err != nil {
		t.Fatal(err)
	}
	kind := "pump"
	_, err := r.Create(ctx, "new", kind, nil)
	wantError(t, err, "InvalidRequestException")
	_, err = r.Put(ctx, "new", registry.Change{Type: &kind})
	wantError(t, err, "InvalidRequestException")
	_, err = r.Update(ctx, "plain", registry.Change{Type: &kind})
	wantError(t, err, "InvalidRequestException")
	if _, err := r.Create(ctx, "old", kind, nil); err != nil {
		t.Error("the same once more:", err)
	}
	if got, err := r.Update(ctx, "old", registry.Change{Type: &kind, Attributes: map[string]string{"a": "b"}}); err != nil || got.Type != kind {
		t.Errorf("%+v %v", got, err)
	}
	if got, err := r.Get("plain"); err != nil || got.Type != "" || got.Version != 1 {
		t.Errorf("a refused update changed %+v, %v", got, err)
	}

	before, _ := r.Type(kind)
	if err := r.Deprecate(ctx, kind, true); err != nil {
		t.Error(err)
	}
	if after, err := r.Type(kind); err != nil || !cmp.Equal(before, after) {
		t.Errorf("deprecated twice: %+v, was %+v, %v", after, before, err)
	}
	if err := errors.Join(r.Deprecate(ctx, kind, false), r.Deprecate(ctx, kind, false)); err != nil {
		t.Error(err)
	}
	if _, err := r.Create(ctx, "new", kind, nil); err != nil {
		t.Error("undone:", err)
	}
	wantError(t, r.Deprecate(ctx, "none", true), "ResourceNotFoundException")
}

// A type is deleted only when it was deprecated for five minutes in which the
// store was open: the clock, and a restart, change nothing in that.
func TestRegistry_DeleteType(t *testing.T) {
	dir, ctx := t.TempDir(), t.Context()
	store := shadowtest.MustOpenStoreAt(t, dir)
	r, err := registry.Open(registry.Config{}, store, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.CreateType(ctx, "pump", "pumps", []string{"room"}); err != nil {
		t.Fatal(err)
	}
	if err := r.DeleteType(ctx, "none"); err != nil {
		t.Error("one that is not there:", err)
	}
	wantError(t, r.DeleteType(ctx, "pump"), "InvalidRequestException")
	if err := r.Deprecate(ctx, "pump", true); err != nil {
		t.Fatal(err)
	}
	wantError(t, r.DeleteType(ctx, "pump"), "InvalidRequestException")
	want, _ := r.Type("pump")

	// reopen opens the store again, after the record was made to look as if it
	// was deprecated so much earlier, by the clock or by the store.
	reopen := func(clock, age time.Duration) {
		t.Helper()
		want.DeprecatedOn, want.DeprecatedAge = want.DeprecatedOn.Add(-clock), want.DeprecatedAge-age
		text, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		err = store.Update(ctx, func(tx *localshadow.Tx) error { return tx.Set([]byte("r/k/pump"), text) })
		if err := errors.Join(err, store.Close()); err != nil {
			t.Fatal(err)
		}
		store = shadowtest.MustOpenStoreAt(t, dir)
		if r, err = registry.Open(registry.Config{}, store, nil); err != nil {
			t.Fatal(err)
		}
		if got, err := r.Type("pump"); err != nil || !cmp.Equal(want, got) {
			t.Fatalf("reopened: %+v, was %+v, %v", got, want, err)
		}
	}
	reopen(0, 0)
	wantError(t, r.DeleteType(ctx, "pump"), "InvalidRequestException")
	reopen(24*time.Hour, 0)
	wantError(t, r.DeleteType(ctx, "pump"), "InvalidRequestException")
	reopen(0, 4*time.Minute)
	wantError(t, r.DeleteType(ctx, "pump"), "InvalidRequestException")
	reopen(0, time.Minute+10*time.Second) // a store forgets the rest of a second when it closes
	r.Configure([]registry.Thing{{Name: "boiler", Type: "pump"}})
	wantError(t, r.DeleteType(ctx, "pump"), "InvalidRequestException") // a thing has it
	r.Configure(nil)
	if err := r.DeleteType(ctx, "pump"); err != nil {
		t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	if types := MustOpen(t, dir, registry.Config{}).Types(); types == nil || len(types) != 0 {
		t.Errorf("%+v", types)
	}
}

func TestAPI_ThingTypes(t *testing.T) {
	r := MustOpen(t, t.TempDir(), registry.Config{})
	admin := caller{
		"iot:CreateThingType pump": true, "iot:DescribeThingType pump": true, "iot:DeprecateThingType pump": true,
		"iot:DeleteThingType pump": true, "iot:ListThingTypes ": true, "iot:CreateThingType tap": true,
		"iot:CreateThing one": true, "iot:DeleteThingType none": true, "iot:DeprecateThingType none": true,
	}
	api := &registry.API{Registry: r, CallerOf: func(context.Context) registry.Caller { return admin }}
	expect(t, api, []exchange{
		{"GET /thing-types/pump", "", 404, "ResourceNotFoundException"},
		{"GET /thing-types", "", 200, `{"thingTypes":[]}`},
		{"POST /thing-types/pump", `{"thingTypeProperties":{"thingTypeDescription":"pumps","searchableAttributes":["room"]}}`, 200, `"thingTypeArn":"arn:aws:iot:::thingtype/pump"`},
		{"POST /thing-types/pump", `{"thingTypeProperties":{"thingTypeDescription":"other"}}`, 409, "ResourceAlreadyExistsException"},
		{"POST /thing-types/tap", `{"thingTypeProperties":{"searchableAttributes":["a","b","c","d"]}}`, 400, "InvalidRequestException"},
		{"POST /thing-types/tap", `{`, 400, "Payload contains invalid json"},
		{"POST /thing-types/tap", "", 200, `"thingTypeName":"tap"`},
		{"GET /thing-types/pump", "", 200, `"thingTypeProperties":{"thingTypeDescription":"pumps","searchableAttributes":["room"]},"thingTypeMetadata":{"deprecated":false,"creationDate":`},
		{"GET /thing-types", "", 200, `"thingTypeName":"tap"`},
		{"GET /thing-types?maxResults=1", "", 200, `"nextToken":"pump"`},
		{"GET /thing-types?maxResults=1&nextToken=pump", "", 200, `{"thingTypes":[{"thingTypeName":"tap"`},
		{"GET /thing-types?thingTypeName=none", "", 200, `{"thingTypes":[]}`},
		{"GET /thing-types?maxResults=251", "", 400, "InvalidRequestException"},
		{"DELETE /thing-types/pump", "", 400, "deprecate it first"},
		{"POST /thing-types/pump/deprecate", "", 200, "{}"},
		{"GET /thing-types/pump", "", 200, `"deprecated":true,"deprecationDate":`},
		{"POST /things/one", `{"thingTypeName":"pump"}`, 400, "deprecated"},
		{"DELETE /thing-types/pump", "", 400, "can't be deleted yet"},
		{"POST /thing-types/pump/deprecate", `{"undoDeprecate":true}`, 200, "{}"},
		{"POST /things/one", `{"thingTypeName":"pump"}`, 200, `"thingName":"one"`},
		{"DELETE /thing-types/pump", "", 400, "thing one has it"},
		{"POST /thing-types/none/deprecate", "", 404, "ResourceNotFoundException"},
		{"DELETE /thing-types/none", "", 200, "{}"},
		{"GET /thing-types/tap", "", 403, "ForbiddenException"},
		{"POST /thing-types/tap/deprecate", "", 403, "ForbiddenException"},
		{"DELETE /thing-types/tap", "", 403, "ForbiddenException"},
		{"PATCH /thing-types/pump", "{}", 404, "No such resource"}, // a type does not change
		{"GET /thing-types/pu%2Fmp", "", 400, "Invalid thing type name"},
	})
	if !admin["refused iot:DescribeThingType tap"] {
		t.Error("a refusal was not told")
	}
	delete(admin, "iot:ListThingTypes ")
	w := httptest.NewRecorder()
	api.ServeHTTP(w, httptest.NewRequest("GET", "/thing-types", nil))
	if w.Code != 403 {
		t.Errorf("list: %d", w.Code)
	}
}
