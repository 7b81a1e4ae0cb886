package layout_test

// topLevel is what the root of the project holds beside dot-files and what
// .gitignore names.
var topLevel = []string{
	"cmd", "bridge", "adapters", "localshadow", "config", "packaging", "test",
	"go.mod", "go.sum", "README.md", "LICENSE", "CHANGELOG.md",
}

// table says which packages of ours a package may import (tests excepted).
// Imports point one way: cmd → config → {bridge, adapters, localshadow},
// bridge → localshadow → localshadow/shadow, drivers → adapters. South and
// north never meet: adapters knows no cloud, bridge knows no device.
var table = map[string][]string{
	"cmd/edgeshadow": {"cmd/...", "config", "localshadow/...", "adapters/...", "bridge/..."},
	"cmd/demo":       {"cmd/gateway", "config", "localshadow/shadow", "bridge/upstream", "test/linktest", "test/modbustest"},
	"cmd/setup":      {"config", "adapters/port"},
	"cmd/doctor":     {"cmd/console", "config", "localshadow", "adapters", "adapters/ble", "adapters/port", "bridge", "bridge/upstream"},
	"cmd/pubsub":     {},
	"cmd/gateway":    {"cmd/console", "config", "localshadow/...", "adapters/...", "bridge/..."},
	"cmd/console":    {"localshadow/...", "adapters/...", "bridge/..."}, // the numbers that it renders

	"config":              {"localshadow/...", "adapters/...", "bridge/...", "packaging/templates"},
	"packaging/templates": {},

	"bridge":          {"localshadow", "localshadow/shadow"},
	"bridge/relay":    {},
	"bridge/upstream": {},

	"localshadow":             {"localshadow/shadow"},
	"localshadow/access":      {"localshadow", "localshadow/shadow"},
	"localshadow/broker":      {"localshadow", "localshadow/access", "localshadow/shadow"},
	"localshadow/broker/rest": {"localshadow/access", "localshadow/broker", "localshadow/shadow"},
	"localshadow/registry":    {"localshadow", "localshadow/shadow"},
	"localshadow/shadow":      {},

	"adapters":        {},
	"adapters/modbus": {"adapters", "adapters/binary", "adapters/port"},
	"adapters/port":   {},

	"adapters/binary": {"adapters"},
	"adapters/serial": {"adapters", "adapters/binary", "adapters/port"},

	"adapters/ble/advert": {"adapters"},
	"adapters/ble":        {"adapters", "adapters/binary", "adapters/ble/advert"},

	// A stand-in is a second opinion: it knows the wire, and of our packages
	// at most those whose opposite it plays.
	"test/clocktest":  {},
	"test/cloudtest":  {},
	"test/fieldtest":  {"adapters"},
	"test/linktest":   {},
	"test/modbustest": {"test/ptytest"},
	"test/porttest":   {},
	"test/ptytest":    {},
	"test/bletest":    {},
	"test/serialtest": {"test/ptytest"},
	"test/shadowtest": {"localshadow", "localshadow/shadow"},
	"test/bench":      {},
	"test/sdk":        {},
}

// libraries says which packages wrap a library; nobody else imports it.
var libraries = map[string][]string{
	"github.com/mochi-mqtt/server":        {"localshadow/broker", "test/cloudtest"}, // a cloud needs a broker that is not ours
	"github.com/gorilla/websocket":        {"localshadow/broker", "bridge/upstream"},
	"github.com/aws/aws-sdk-go-v2":        {"bridge/upstream"},
	"github.com/eclipse/paho.mqtt.golang": {"bridge/upstream", "cmd/pubsub"}, // one comes back by itself, the other shows all
	"github.com/dgraph-io/badger":         {"localshadow"},
	"github.com/dgraph-io/ristretto":      {"localshadow"}, // the caches of badger
	"github.com/goburrow/modbus":          {"adapters/modbus"},
	"github.com/goburrow/serial":          {"adapters/modbus"},
	"github.com/godbus/dbus":              {"adapters/ble", "test/bletest"},
	"github.com/tarm/serial":              {"adapters/port"},
	"github.com/goccy/go-yaml":            {"config"},
	"github.com/spf13/cobra":              {"cmd/edgeshadow"},
	"github.com/prometheus/client_golang": {"cmd/console"},
	"github.com/coreos/go-systemd":        {"cmd/edgeshadow", "cmd/gateway"},
	"github.com/go-json-experiment/json":  {"localshadow/shadow"},

	"github.com/cenkalti/backoff": {"..."},
	"golang.org/x":                {"..."},
}

// forbidden are imports that would break what a package promises.
var forbidden = map[string][]string{
	"localshadow/shadow": {"context", "log/...", "net/...", "os/...", "sync/...", "time"}, // pure: no I/O, no clock
}
