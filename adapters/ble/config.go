package ble

import (
	"encoding/hex"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"edgeshadow/adapters"
	"edgeshadow/adapters/binary"
	"edgeshadow/adapters/ble/advert"
)

const (
	// DriverName is the name of the one driver.
	DriverName = "ble"
	// DefaultPace is how often numbers of a device are reported at most:
	// sensors broadcast every second or two and measure much slower.
	DefaultPace = 10 * time.Second
	// defaultSilence is the silence after which a device is offline: battery
	// sensors speak once a minute, and go unheard now and then.
	defaultSilence = 15 * time.Minute
	// defaultRead is how often a characteristic is read.
	defaultRead = time.Minute
	// maxKey bounds the file that holds a bindkey.
	maxKey = 256
)

// Config is the ble section of a thing.
type Config struct {
	MAC string `yaml:"mac"` // A4:C1:38:11:22:33
	// Decode is the format that the device speaks; auto (the default) takes
	// each that it does, none takes only values and characteristics.
	Decode string `yaml:"decode"`
	// Bindkey names where the key of 32 hexadecimal digits is, for devices that
	// encrypt: the path of a file, or env:NAME.
	Bindkey string `yaml:"bindkey"`
	// Values are places in data that no decoder knows, by name.
	Values map[string]Rule `yaml:"values"`
	// Characteristics are values that are read over a connection, by name.
	Characteristics map[string]Characteristic `yaml:"characteristics"`
	OfflineAfter    time.Duration             `yaml:"offline_after"` // 0 means 15 minutes
}

// Rule is a value in manufacturer or service data, the least significant byte
// first unless its order says else.
type Rule struct {
	Data         string `yaml:"data"` // manufacturer:0499, service:181a
	binary.Place `yaml:",inline"`
}

// Characteristic is a value in a GATT characteristic.
type Characteristic struct {
	UUID         string        `yaml:"uuid"`
	Service      string        `yaml:"service"` // when the UUID alone is not enough
	Notify       bool          `yaml:"notify"`  // the device says when it changes
	Every        time.Duration `yaml:"every"`   // how often it is read; 0 means 1 minute
	binary.Place `yaml:",inline"`
}

// Thing is a Bluetooth device: its section, and its points.
type Thing struct {
	Config
	Points map[string]adapters.Point
}

// Silence is OfflineAfter with its default.
func (c Config) Silence() time.Duration {
	if c.OfflineAfter == 0 {
		return defaultSilence
	}
	return c.OfflineAfter
}

// Learns says whether the device says itself what it measures.
func (c Config) Learns() bool { return c.Decode != advert.None }

// Field are the points of the thing as the Supervisor reads them: those that
// the configuration names.
func (c Config) Field(points map[string]adapters.Point) map[string]adapters.Point {
	all := map[string]adapters.Point{}
	maps.Copy(all, points)
	for name := range c.Values {
		all[name] = points[name]
	}
	for name := range c.Characteristics {
		all[name] = points[name]
	}
	return all
}

func (c Characteristic) every() time.Duration {
	if c.Every == 0 {
		return defaultRead
	}
	return c.Every
}

// Validate says what is wrong with the section, by key, and with what the points
// of its thing say of it.
func (c Config) Validate(points map[string]adapters.Point, section, thing func(key, text string)) {
	if _, err := advert.ParseMAC(c.MAC); c.MAC == "" {
		section("mac", "is missing; edgeshadow ble scan lists what is near")
	} else if err != nil {
		section("mac", err.Error())
	}
	formats := append(advert.Formats(), advert.Auto, advert.None, "")
	if !slices.Contains(formats, c.Decode) {
		section("decode", fmt.Sprintf("no format %q; there are auto none %s", c.Decode, strings.Join(advert.Formats(), " ")))
	}
	if c.Decode == advert.None && len(c.Values) == 0 && len(c.Characteristics) == 0 {
		section("decode", "none, and neither values nor characteristics: the device would say nothing")
	}
	if _, err := readKey(c.Bindkey); err != nil {
		section("bindkey", err.Error())
	}
	if c.OfflineAfter < 0 {
		section("offline_after", fmt.Sprintf("%s is negative", c.OfflineAfter))
	}
	for _, name := range slices.Sorted(maps.Keys(c.Values)) {
		at := "values." + name
		if _, _, err := parseData(c.Values[name].Data); err != nil {
			section(at+".data", err.Error())
		}
		c.Values[name].Validate(func(key, text string) { section(at+"."+key, text) })
	}
	for _, name := range slices.Sorted(maps.Keys(c.Characteristics)) {
		c.Characteristics[name].validate(func(key, text string) { section("characteristics."+name+"."+key, text) })
		if _, twice := c.Values[name]; twice {
			section("characteristics."+name, "stands under values too; rename one")
		}
	}
	c.validatePoints(points, thing)
}

func (c Characteristic) validate(fault func(key, text string)) {
	if _, err := advert.ParseUUID(c.UUID); err != nil {
		fault("uuid", err.Error())
	}
	if _, err := advert.ParseUUID(c.Service); c.Service != "" && err != nil {
		fault("service", err.Error())
	}
	if c.Every != 0 && c.Every < time.Second {
		fault("every", fmt.Sprintf("%s is too often for a battery; the least is 1s", c.Every))
	}
	c.Place.Validate(fault)
}

func (c Config) validatePoints(points map[string]adapters.Point, fault func(key, text string)) {
	for _, name := range slices.Sorted(maps.Keys(points)) {
		p, at := points[name], "points."+name
		g, connected := c.Characteristics[name]
		_, ruled := c.Values[name]
		if !c.Learns() && !connected && !ruled {
			fault(at, "is no value of the device: decode is none, and it stands neither under values nor under characteristics")
		}
		if p.At != "" || p.Type != "" || p.Order != "" || p.Length != 0 || p.Bit != nil || p.Bits != nil || p.Every != 0 {
			fault(at, "at, type, order, length, bit, bits and every are for a bus; where a value lies stands under ble.values and ble.characteristics")
		}
		if p.Write && (!connected || g.Bit != nil) {
			fault(at+".write", "only what stands under ble.characteristics is written, and a bit is not")
		}
	}
}

// parseData reads manufacturer:0499 and service:181a.
func parseData(text string) (company uint16, service string, err error) {
	kind, id, _ := strings.Cut(text, ":")
	switch kind {
	case "manufacturer":
		n, err := strconv.ParseUint(strings.TrimPrefix(id, "0x"), 16, 16)
		if err == nil {
			return uint16(n), "", nil
		}
	case "service":
		if service, err = advert.ParseUUID(id); err == nil {
			return 0, service, nil
		}
	}
	return 0, "", fmt.Errorf("%q names no data; write manufacturer:0499 (the company) or service:181a (the UUID)", text)
}

// readKey reads a bindkey from where it is; nil: there is none. Its errors never
// hold what was read.
func readKey(where string) ([]byte, error) {
	if where == "" {
		return nil, nil
	}
	var text string
	if name, ok := strings.CutPrefix(where, "env:"); ok {
		if text, ok = os.LookupEnv(name); !ok {
			return nil, fmt.Errorf("the environment has no %s", name)
		}
	} else {
		data, err := os.ReadFile(where)
		if err != nil {
			return nil, err
		}
		text = string(data[:min(len(data), maxKey)])
	}
	key, err := hex.DecodeString(strings.TrimSpace(text))
	if err != nil || len(key) != 16 {
		return nil, fmt.Errorf("%s holds no bindkey: 32 hexadecimal digits", where)
	}
	return key, nil
}
