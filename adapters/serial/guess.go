package serial

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"edgeshadow/adapters/port"
)

// Lines are the settings that a line may have, the most common first, for who
// looks for those that it has.
func Lines() []port.Line {
	var lines []port.Line
	for _, baud := range []int{9600, 115200, 19200, 4800, 38400, 57600, 2400, 1200} {
		lines = append(lines, port.Line{Baud: baud, Bits: 8, Parity: 'N', Stop: 1}, port.Line{Baud: baud, Bits: 7, Parity: 'E', Stop: 1})
	}
	return lines
}

// Legible is how much of what was heard is text, from 0 to 1: with other settings
// than the device's own it is noise. Devices that send no text are told by
// nobody.
func Legible(heard []byte) float64 {
	if len(heard) == 0 {
		return 0
	}
	good := 0
	for _, b := range heard {
		if b >= ' ' && b < 0x7F || b == '\r' || b == '\n' || b == '\t' || b == 2 || b == 3 {
			good++
		}
	}
	return float64(good) / float64(len(heard))
}

// Guess is a section for a device of which this was heard: its frames, its
// check and its values, as far as that is to be seen. ok is false when it is not.
func Guess(heard []byte) (c Config, frames []string, ok bool) {
	if Legible(heard) < 0.9 {
		return c, nil, false
	}
	switch {
	case bytes.Count(heard, []byte{2}) > 0 && bytes.Count(heard, []byte{3}) > 0:
		c.Frame = Frame{Start: `\x02`, End: `\x03`}
	case regexp.MustCompile(`\$[A-Z]{3,}[^$]*\*[0-9A-F]{2}\r?\n`).Match(heard):
		c.Frame, c.Check = Frame{Start: "$", End: `\r\n`}, Check{Type: "nmea"}
	case bytes.Contains(heard, []byte("\r\n")):
		c.Frame = Frame{End: `\r\n`}
	case bytes.Contains(heard, []byte("\r")):
		c.Frame = Frame{End: `\r`}
	}
	r := newFramer(c.Frame, c.Check)
	r.restart()
	r.feed(heard, func(content []byte) { frames = append(frames, text(content)) })
	if len(frames) == 0 {
		return c, nil, false
	}
	last := frames[len(frames)-1]
	switch {
	case c.Check.Type == "nmea":
		c.NMEA = guessNMEA(frames)
	case strings.HasPrefix(last, "{"):
		c.JSON = guessJSON(last)
	default:
		c.Parse = guessParse(last)
	}
	return c, frames, len(c.Names()) > 0
}

var number = regexp.MustCompile(`[+-]?\s*\d+(?:\.\d+)?`)

// guessParse is a regular expression for a line: each number is a value.
func guessParse(line string) string {
	var out strings.Builder
	at := 0
	for i, m := range number.FindAllStringIndex(line, 16) {
		out.WriteString(regexp.QuoteMeta(line[at:m[0]]))
		digits := `\d+`
		if strings.Contains(line[m[0]:m[1]], ".") {
			digits = `\d+\.\d+`
		}
		fmt.Fprintf(&out, `(?P<value_%d>[+-]?\s*%s)`, i+1, digits)
		at = m[1]
	}
	out.WriteString(regexp.QuoteMeta(line[at:]))
	return "^" + out.String() + "$"
}

// guessJSON are the scalars at the top of a document.
func guessJSON(line string) map[string]string {
	all := map[string]string{}
	for _, m := range regexp.MustCompile(`"([A-Za-z0-9_-]+)"\s*:\s*[^\s{\[]`).FindAllStringSubmatch(line, 16) {
		pointer := map[string]string{m[1]: "/" + m[1]}
		if values, own := pointers(pointer, nil)([]byte(line)); own && values[0].quality.HasValue() {
			all[m[1]] = pointer[m[1]]
		}
	}
	return all
}

// guessNMEA are what receivers are for: the position and its quality, when the
// sentences are there.
func guessNMEA(sentences []string) map[string]string {
	all := map[string]string{}
	for _, s := range sentences {
		id, _, _ := strings.Cut(s, ",")
		for name, place := range map[string]string{"altitude": "GGA.9", "satellites": "GGA.7", "speed": "VTG.7", "course": "RMC.8"} {
			if sentence, _, _ := strings.Cut(place, "."); strings.HasSuffix(id, sentence) {
				all[name] = place
			}
		}
		if len(all) == 0 && !slices.Contains([]string{"GSV", "GSA", "GLL", "TXT", "ZDA"}, id[max(0, len(id)-3):]) {
			all["value"] = id + ".1"
		}
	}
	return all
}
