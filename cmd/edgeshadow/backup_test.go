package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"edgeshadow/test/porttest"
)

// What waits for the cloud is in a backup too, and waits on after the restore.
func TestBackup_HoldsWhatWaits(t *testing.T) {
	dir := t.TempDir()
	more := `cloud: {endpoint: "mqtt://` + porttest.MustFindAddress(t) + `"}
relay: {line: {from: "local:line/+/data", to: "cloud:site/{1}", class: event}}
`
	d := MustRunDaemon(t, dir, porttest.MustFindAddress(t), more)
	c := mqtt.NewClient(mqtt.NewClientOptions().AddBroker("tcp://" + d.address).SetClientID("line"))
	if token := c.Connect(); !token.WaitTimeout(patience) || token.Error() != nil {
		t.Fatal(token.Error())
	}
	const waiting = 5
	for i := range waiting {
		if token := c.Publish(fmt.Sprintf("line/%d/data", i), 1, false, "hello"); !token.WaitTimeout(patience) || token.Error() != nil {
			t.Fatal("not acknowledged", token.Error())
		}
	}
	c.Disconnect(0)
	file := filepath.Join(dir, "saved.tgz")
	if out, err := d.command(t, "backup", file); err != nil {
		t.Fatal(out, err)
	}
	d.kill()
	if err := os.RemoveAll(filepath.Join(dir, "data")); err != nil {
		t.Fatal(err)
	}
	if out, err := d.command(t, "restore", file); err != nil || !strings.Contains(out, filepath.Join(dir, "data", "relay")) {
		t.Fatal(out, err)
	}
	journal := filepath.Join(dir, "data", "relay", "event")
	if info, err := os.Stat(journal); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the journal: %v, %v", info, err)
	}
	d = MustRunDaemon(t, dir, porttest.MustFindAddress(t), more)
	want := fmt.Sprintf("relay    event: %d waiting", waiting)
	d.await(t, want, func(context.Context) bool {
		out, err := d.command(t, "status")
		return err == nil && strings.Contains(out, want)
	})
}
