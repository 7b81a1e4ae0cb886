package localshadow_test

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"

	"edgeshadow/localshadow"
	"edgeshadow/localshadow/shadow"
	"edgeshadow/test/shadowtest"

	"github.com/google/go-cmp/cmp"
)

// A dump of a running store makes another that holds the same, also what is kept
// in chunks, and none of what came later.
func TestStore_Dump(t *testing.T) {
	store := shadowtest.MustOpenStore(t)
	service := shadowtest.NewService(t, store, nil)
	want := map[string]string{}
	for i := range 600 {
		id := shadow.ID{Thing: fmt.Sprintf("thing-%d", i%300), Name: []string{"", "big"}[i%2]}
		text := fmt.Sprintf(`{"state":{"reported":{"i":%d,"pad":%q}}}`, i, strings.Repeat("x", i*9))
		if _, err := service.Update(t.Context(), id, []byte(text)); err != nil {
			t.Fatal(err)
		}
		want[id.String()] = mustGet(t, service, id)
	}
	var dump bytes.Buffer
	if err := store.Dump(&dump); err != nil {
		t.Fatal(err)
	}
	if _, err := service.Update(t.Context(), shadow.ID{Thing: "later"}, []byte(`{"state":{"reported":{"a":1}}}`)); err != nil {
		t.Fatal(err)
	}

	cfg := localshadow.Config{Path: t.TempDir()}
	if err := localshadow.LoadDump(cfg, bytes.NewReader(dump.Bytes()), nil); err != nil {
		t.Fatal(err)
	}
	loaded := shadowtest.MustOpenStoreAt(t, cfg.Path)
	if loaded.Gateway() != store.Gateway() || loaded.Boot() <= store.Boot() {
		t.Errorf("gateway %s boot %d, want %s and more than %d", loaded.Gateway(), loaded.Boot(), store.Gateway(), store.Boot())
	}
	got := map[string]string{}
	service = shadowtest.NewService(t, loaded, nil)
	if err := service.All(func(id shadow.ID) error {
		got[id.String()] = mustGet(t, service, id)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("documents (-want +got):\n%s", diff)
	}
	if err := localshadow.LoadDump(cfg, bytes.NewReader(dump.Bytes()), nil); err == nil {
		t.Error("a dump was loaded over a store")
	}
}

// A dump that is cut short or changed is refused.
func TestLoadDump_Damaged(t *testing.T) {
	store := shadowtest.MustOpenStore(t)
	service := shadowtest.NewService(t, store, nil)
	if _, err := service.Update(t.Context(), shadow.ID{Thing: "lamp"}, []byte(`{"state":{"reported":{"a":1}}}`)); err != nil {
		t.Fatal(err)
	}
	var dump bytes.Buffer
	if err := store.Dump(&dump); err != nil {
		t.Fatal(err)
	}
	whole := dump.Bytes()
	for name, data := range map[string][]byte{
		"empty":   nil,
		"another": []byte("#!/bin/sh\nexit 0\nand some more text than a magic has"),
		"cut":     whole[:len(whole)/2],
		"no sum":  whole[:len(whole)-4],
		"changed": bytes.Replace(whole, []byte(`"a"`), []byte(`"b"`), 1),
		"flipped": append(bytes.Clone(whole[:len(whole)-1]), whole[len(whole)-1]^1),
	} {
		if name == "changed" && bytes.Equal(data, whole) {
			continue // the document is not kept as text
		}
		if err := localshadow.LoadDump(localshadow.Config{Path: t.TempDir()}, bytes.NewReader(data), nil); err == nil {
			t.Errorf("%s: loaded", name)
		}
	}
}

func mustGet(tb testing.TB, service *localshadow.Service, id shadow.ID) string {
	tb.Helper()
	d, err := service.Document(id)
	if err != nil || d == nil {
		tb.Fatalf("%s: %v, %v", id, d, err)
	}
	text, err := service.Get(context.Background(), id, nil)
	if err != nil {
		tb.Fatal(err)
	}
	text, _, _ = bytes.Cut(text, []byte(`"timestamp":`)) // of the answer
	return fmt.Sprintf("v%d %s", d.Version, text)
}
