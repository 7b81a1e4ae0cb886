package gateway_test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"

	"edgeshadow/localshadow/shadow"
)

// TestGateway_ThreeLevels: a gateway may be the cloud of another, and so on; a
// change at either end comes to the other, and in the end all are equal.
func TestGateway_ThreeLevels(t *testing.T) {
	var levels []running
	for i := range 3 {
		dir := t.TempDir()
		text := "broker: {listeners: [{address: '127.0.0.1:0'}]}\n"
		if i > 0 {
			text += fmt.Sprintf("gateway: {thing: level-%d}\ncloud: {endpoint: 'mqtt://%s'}\n", i, levels[i-1].Addrs()[0])
		}
		levels = append(levels, MustRun(t, dir, MustLoad(t, dir, text)))
	}
	top, bottom := levels[0], levels[2]
	lamp := shadow.ID{Thing: "lamp"}
	ctx := context.Background()
	write := func(at running, state string) {
		t.Helper()
		if _, err := at.Update(ctx, lamp, []byte(`{"state":`+state+`}`)); err != nil {
			t.Fatal(err)
		}
	}
	equal := func(what, want string) {
		t.Helper()
		for i, level := range levels {
			await(t, fmt.Sprintf("%s, at level %d", what, i), func() bool {
				body, err := level.Get(ctx, lamp)
				if err != nil {
					return want == ""
				}
				var d struct {
					State struct {
						Desired  json.RawMessage `json:"desired,omitempty"`
						Reported json.RawMessage `json:"reported,omitempty"`
					} `json:"state"`
				}
				if err := json.Unmarshal(body, &d); err != nil {
					t.Fatal(err)
				}
				got, _ := json.Marshal(d.State)
				return string(got) == want
			})
		}
	}
	write(bottom, `{"reported":{"power":"off"}}`)
	equal("a report goes up", `{"reported":{"power":"off"}}`)
	write(top, `{"desired":{"power":"on"}}`)
	equal("a command goes down", `{"desired":{"power":"on"},"reported":{"power":"off"}}`)
	write(bottom, `{"reported":{"power":"on"}}`)
	write(levels[1], `{"desired":{"level":7}}`)
	equal("from the middle both ways", `{"desired":{"power":"on","level":7},"reported":{"power":"on"}}`)
	if _, err := top.Delete(ctx, lamp); err != nil {
		t.Fatal(err)
	}
	equal("a delete goes down", "")
	write(bottom, `{"reported":{"power":"off"}}`)
	equal("made again", `{"reported":{"power":"off"}}`)
}
