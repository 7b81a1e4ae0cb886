package gateway_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"edgeshadow/localshadow/shadow"
	"edgeshadow/test/porttest"
)

// What monitoring asks for answers on an address of its own, and nothing else
// does there.
func TestGateway_Monitor(t *testing.T) {
	address := porttest.MustFindAddress(t)
	dir := t.TempDir()
	g := MustRun(t, dir, MustLoad(t, dir, fmt.Sprintf("gateway: {thing: gw, metrics: %q}\nbroker: {listeners: [{address: '127.0.0.1:0'}]}", address)))
	if _, err := g.Update(t.Context(), shadow.ID{Thing: "lamp"}, []byte(`{"state":{"reported":{"power":"on"}}}`)); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		path string
		code int
		want []string
	}{
		{"/healthz", 200, []string{"ok\n"}},
		{"/readyz", 200, []string{"ready\n"}},
		{"/v1/status", 404, nil},
		{"/debug/pprof/heap", 404, nil},
		{"/metrics", 200, []string{
			"edgeshadow_broker_clients 0\n",
			"edgeshadow_update_duration_seconds_count 1\n",
			`edgeshadow_update_duration_seconds_bucket{le="+Inf"} 1` + "\n",
			"# TYPE edgeshadow_store_commit_duration_seconds histogram\n",
			"# TYPE edgeshadow_uplink_round_trip_seconds histogram\n",
			"# TYPE edgeshadow_bus_request_duration_seconds histogram\n",
			"# TYPE edgeshadow_broker_messages_received_total counter\n",
			"edgeshadow_store_disk_full 0\n",
		}},
	} {
		code, body := mustGet(t, "http://"+address+tt.path)
		if code != tt.code {
			t.Errorf("%s: code %d, want %d", tt.path, code, tt.code)
		}
		for _, want := range tt.want {
			if !strings.Contains(body, want) {
				t.Errorf("%s has no %q:\n%s", tt.path, want, body)
			}
		}
	}
}

func mustGet(tb testing.TB, url string) (code int, body string) {
	tb.Helper()
	resp, err := http.Get(url)
	if err != nil {
		tb.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		tb.Fatal(err)
	}
	return resp.StatusCode, string(text)
}
