package config_test

import (
	"strings"
	"testing"

	"edgeshadow/config"
)

// The host name becomes a thing name that AWS takes.
func TestThingOf(t *testing.T) {
	for host, want := range map[string]string{
		"gw-hall-1":              "gw-hall-1",
		"gw.example.org":         "gw-example-org",
		"gärtnerei":              "g-rtnerei",
		"":                       "gateway",
		"...":                    "gateway",
		strings.Repeat("x", 200): strings.Repeat("x", 128),
	} {
		if got := config.ThingOf(host); got != want {
			t.Errorf("%q: got %q, want %q", host, got, want)
		}
	}
}
