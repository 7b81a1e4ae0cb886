package serial

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"edgeshadow/adapters"
	"edgeshadow/adapters/binary"
	"edgeshadow/adapters/port"
)

// Validate says what is wrong with the section, by key, and with what the points
// of its thing say of it: points.NAME.…
func (c Config) Validate(points map[string]adapters.Point, section, thing func(key, text string)) {
	switch err := port.ValidName(c.Port); {
	case c.Port == "":
		section("port", "is missing; edgeshadow ports lists what is plugged in")
	case err != nil:
		section("port", err.Error())
	}
	c.RS485.Validate(under("rs485", section))
	c.Frame.validate(under("frame", section))
	c.Check.validate(c.Frame, under("check", section))
	c.validateExtraction(section)
	for _, d := range []struct {
		key   string
		value time.Duration
	}{{"timeout", c.Timeout}, {"offline_after", c.OfflineAfter}} {
		if d.value < 0 {
			section(d.key, fmt.Sprintf("%s is negative", d.value))
		}
	}
	c.validateSending(section)
	c.validatePoints(points, thing)
}

func under(key string, fault func(key, text string)) func(key, text string) {
	return func(below, text string) {
		if below == "" {
			fault(key, text)
			return
		}
		fault(key+"."+below, text)
	}
}

func (f Frame) validate(fault func(key, text string)) {
	for key, text := range map[string]string{"start": f.Start, "end": f.End} {
		if b, err := unescape(text); err != nil {
			fault(key, err.Error())
		} else if len(b) > 16 {
			fault(key, fmt.Sprintf("%d bytes; a marker has at most 16", len(b)))
		}
	}
	var ways []string
	if f.Length != nil {
		ways = append(ways, "length")
		f.Length.validate(under("length", fault))
	}
	if f.Fixed != 0 {
		ways = append(ways, "fixed")
	}
	if f.Idle != 0 {
		ways = append(ways, "idle")
	}
	switch {
	case len(ways) > 1:
		fault("", strings.Join(ways, " and ")+" both say where a frame ends; keep one")
	case len(ways) == 0 && f.End == "" && f.Start != "":
		fault("", "has a start and no end; add end, length, fixed or idle")
	case f.Idle != 0 && f.End != "":
		fault("end", "a frame that ends by idle has no end marker; keep one")
	}
	if f.Max < 0 || f.Max > maxMax {
		fault("max", fmt.Sprintf("%d; 1 to %d bytes", f.Max, maxMax))
	}
	if f.Fixed < 0 || f.Fixed > f.max() {
		fault("fixed", fmt.Sprintf("%d; 1 to %d bytes, the frame's max", f.Fixed, f.max()))
	}
	if f.Idle != 0 && (f.Idle < time.Millisecond || f.Idle > 10*time.Second) {
		fault("idle", fmt.Sprintf("%s; 1ms to 10s", f.Idle))
	}
}

func (l Length) validate(fault func(key, text string)) {
	if !slices.Contains([]string{"", "uint8", "uint16", "uint24", "uint32"}, l.Type) {
		fault("type", fmt.Sprintf("%q; a length is a uint8, uint16, uint24 or uint32", l.Type))
		return
	}
	binary.Place{At: l.At, Type: l.Type, Order: l.Order}.Validate(fault)
	if l.Add < -maxMax || l.Add > maxMax {
		fault("add", fmt.Sprintf("%d; at most %d bytes", l.Add, maxMax))
	}
}

func (c Check) validate(f Frame, fault func(key, text string)) {
	if c.Type != "" && !slices.Contains(checkNames, c.Type) {
		fault("", fmt.Sprintf("no check %q; there are %s", c.Type, strings.Join(checkNames, " ")))
		return
	}
	if c.Type == "" && c != (Check{}) {
		fault("type", "is missing; there are "+strings.Join(checkNames, " "))
	}
	if c.From < 0 || c.From > f.max() {
		fault("from", fmt.Sprintf("%d is no place in a frame", c.From))
	}
	if c.Order != "" && (c.Order != "AB" && c.Order != "BA" || checks[c.Type].width != 2) {
		fault("order", fmt.Sprintf("%q; the two bytes of a crc16 are AB (high byte first) or BA", c.Order))
	}
	if c.Behind && (f.End == "" || f.Length != nil || f.Fixed != 0 || c.Type == "nmea") {
		fault("behind", "is for a frame that ends with a marker")
	}
}

func (c Config) validateExtraction(fault func(key, text string)) {
	var ways []string
	for _, w := range []struct {
		key  string
		used bool
	}{{"parse", c.Parse != ""}, {"csv", c.CSV != nil}, {"json", c.JSON != nil}, {"nmea", c.NMEA != nil}, {"binary", c.Binary != nil}} {
		if w.used {
			ways = append(ways, w.key)
		}
	}
	switch {
	case len(ways) == 0:
		fault("", "says not what of a frame are values; add parse, csv, json, nmea or binary")
	case len(ways) > 1:
		fault(ways[1], "stands beside "+ways[0]+"; one of them says what are values")
	case len(c.Names()) == 0:
		fault(ways[0], "names no value")
	}
	for key, expression := range map[string]string{"parse": c.Parse, "match": c.Match, "refused": c.Refused} {
		if _, err := regexp.Compile(expression); err != nil {
			fault(key, strings.TrimPrefix(err.Error(), "error parsing regexp: "))
		}
	}
	if c.CSV != nil && (utf8.RuneCountInString(c.CSV.Separator) > 1 || strings.ContainsAny(c.CSV.Separator, "\"\r\n\uFFFD")) {
		fault("csv.separator", fmt.Sprintf("%q is not one character that can stand between columns", c.CSV.Separator))
	}
	for _, name := range slices.Sorted(maps.Keys(c.JSON)) {
		if p := c.JSON[name]; p != "" && p[0] != '/' {
			fault("json."+name, fmt.Sprintf("%q is no JSON pointer; write /a/b, /list/0", p))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.NMEA)) {
		sentence, field, _ := strings.Cut(c.NMEA[name], ".")
		if i, err := strconv.Atoi(field); err != nil || i < 1 || i > 99 || len(sentence) < 3 {
			fault("nmea."+name, fmt.Sprintf("%q is no sentence and field; write GGA.9", c.NMEA[name]))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Binary)) {
		c.Binary[name].Validate(under("binary."+name, fault))
	}
}

func (c Config) validateSending(fault func(key, text string)) {
	send := func(key, text string, values int) {
		t, err := newTemplate(text, c.Frame, c.Check)
		switch {
		case err != nil:
			fault(key, err.Error())
		case text == "":
			fault(key, "is missing")
		case values == 0 && t.values() > 0:
			fault(key, "has a {value}, and there is none to send")
		case values > 0 && t.values() == 0:
			fault(key, "has no {value}")
		}
	}
	for i, p := range c.Poll {
		at := fmt.Sprintf("poll[%d].", i)
		send(at+"send", p.Send, 0)
		if p.Every < 0 || p.Every != 0 && p.Every < adapters.MinEvery {
			fault(at+"every", fmt.Sprintf("%s is too often; the least is %s", p.Every, adapters.MinEvery))
		}
	}
	names := c.Names()
	for _, name := range slices.Sorted(maps.Keys(c.Commands)) {
		command := c.Commands[name]
		if !slices.Contains(names, name) {
			fault("commands."+name, "is no value that a frame holds, so that it can't be read back; there are "+strings.Join(names, " "))
		}
		send("commands."+name+".send", command.Send, 1)
		if command.Read != "" {
			send("commands."+name+".read", command.Read, 0)
		}
	}
}

// validatePoints checks what the points of the thing say of the values.
func (c Config) validatePoints(points map[string]adapters.Point, fault func(key, text string)) {
	names := c.Names()
	if len(names) == 0 {
		return // that is told already
	}
	for _, name := range slices.Sorted(maps.Keys(points)) {
		p, at := points[name], pointKey(name)
		if !slices.Contains(names, name) {
			fault(at, "is no value that a frame holds; there are "+strings.Join(names, " "))
			continue
		}
		if p.At != "" || p.Order != "" || p.Length != 0 || p.Bit != nil || p.Bits != nil {
			fault(at, "at, order, length, bit and bits are for a bus; where the value lies in a frame says serial.binary")
		}
		if p.Type != "" && (p.Type != typeString || c.Binary != nil) {
			fault(at+".type", fmt.Sprintf("%q; string keeps text that looks like a number, and the type of bytes stands under serial.binary", p.Type))
		}
		if p.Every != 0 {
			fault(at+".every", "is for a bus; how often the device is asked says serial.poll")
		}
		if _, ok := c.Commands[name]; p.Write && !ok {
			fault(at+".write", "and no command; add serial.commands."+name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Commands)) {
		if slices.Contains(names, name) && !points[name].Write {
			fault(pointKey(name), "has a command and is not written; add write: true")
		}
	}
}

func pointKey(name string) string { return "points." + name }
