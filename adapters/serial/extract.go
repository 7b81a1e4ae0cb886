package serial

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"edgeshadow/adapters"
	"edgeshadow/adapters/binary"
)

// value is one value that was found in a frame.
type value struct {
	name    string
	value   any
	quality adapters.Quality
}

// extractor finds values in a frame; own is false for a frame that is not of
// its kind.
type extractor func(frame []byte) (values []value, own bool)

// newExtractor is the extractor of a valid configuration.
func newExtractor(c Config, points map[string]adapters.Point) extractor {
	switch {
	case c.Parse != "":
		return parser(regexp.MustCompile(c.Parse), points)
	case c.CSV != nil:
		return columns(*c.CSV, points)
	case c.JSON != nil:
		return pointers(c.JSON, points)
	case c.NMEA != nil:
		return sentences(c.NMEA, points)
	}
	return places(c.Binary, points)
}

// Names are the names of the values that the configuration finds, sorted.
func (c Config) Names() []string {
	var names []string
	switch {
	case c.Parse != "":
		if re, err := regexp.Compile(c.Parse); err == nil {
			names = re.SubexpNames()
		}
	case c.CSV != nil:
		names = c.CSV.Columns
	case c.JSON != nil:
		names = keys(c.JSON)
	case c.NMEA != nil:
		names = keys(c.NMEA)
	default:
		names = keys(c.Binary)
	}
	names = slices.DeleteFunc(slices.Clone(names), func(n string) bool { return n == "" || n == "_" })
	slices.Sort(names)
	return slices.Compact(names)
}

func keys[V any](m map[string]V) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	return names
}

// parser takes the named groups of a regular expression. A group that took no
// part in the match has no value.
func parser(re *regexp.Regexp, points map[string]adapters.Point) extractor {
	names := re.SubexpNames()
	return func(frame []byte) ([]value, bool) {
		s := text(frame)
		m := re.FindStringSubmatchIndex(s)
		if m == nil {
			return nil, false
		}
		var values []value
		for i, name := range names {
			if name != "" && m[2*i] >= 0 {
				v, quality := valueOf(points[name], s[m[2*i]:m[2*i+1]])
				values = append(values, value{name, v, quality})
			}
		}
		return values, true
	}
}

// columns takes the fields of a line.
func columns(c CSV, points map[string]adapters.Point) extractor {
	comma := ','
	if c.Separator != "" {
		comma, _ = utf8.DecodeRuneInString(c.Separator)
	}
	return func(frame []byte) ([]value, bool) {
		r := csv.NewReader(strings.NewReader(text(frame)))
		r.Comma, r.LazyQuotes, r.TrimLeadingSpace = comma, true, true
		fields, err := r.Read()
		if err != nil {
			return nil, false
		}
		var values []value
		for i, name := range c.Columns {
			if name == "" || name == "_" || i >= len(fields) {
				continue
			}
			v, quality := valueOf(points[name], fields[i])
			values = append(values, value{name, v, quality})
		}
		return values, len(values) > 0
	}
}

// pointers takes values out of a JSON document.
func pointers(c map[string]string, points map[string]adapters.Point) extractor {
	return func(frame []byte) ([]value, bool) {
		var document any
		d := json.NewDecoder(bytes.NewReader(frame))
		d.UseNumber()
		if err := d.Decode(&document); err != nil {
			return nil, false
		}
		var values []value
		for name, pointer := range c {
			if found, ok := resolve(document, pointer); ok {
				v, quality := valueOfJSON(points[name], found)
				values = append(values, value{name, v, quality})
			}
		}
		return values, len(values) > 0
	}
}

// resolve follows a JSON pointer (RFC 6901).
func resolve(at any, pointer string) (any, bool) {
	if pointer == "" {
		return at, true
	}
	for _, token := range strings.Split(pointer, "/")[1:] {
		token = strings.NewReplacer("~1", "/", "~0", "~").Replace(token)
		switch v := at.(type) {
		case map[string]any:
			below, ok := v[token]
			if !ok {
				return nil, false
			}
			at = below
		case []any:
			i, err := strconv.Atoi(token)
			if err != nil || i < 0 || i >= len(v) {
				return nil, false
			}
			at = v[i]
		default:
			return nil, false
		}
	}
	return at, true
}

// sentences takes fields of NMEA 0183 sentences. GGA is that sentence of any
// talker, GPGGA that of one. An empty field is no value: the receiver has none.
func sentences(c map[string]string, points map[string]adapters.Point) extractor {
	return func(frame []byte) ([]value, bool) {
		fields := strings.Split(strings.TrimLeft(text(frame), "$!"), ",")
		id := fields[0]
		var values []value
		for name, place := range c {
			sentence, number, _ := strings.Cut(place, ".")
			if sentence != id && (len(id) != 5 || id[0] == 'P' || sentence != id[2:]) {
				continue
			}
			i, _ := strconv.Atoi(number) // Validate did it
			if i >= len(fields) {
				values = append(values, value{name, nil, adapters.Bad})
				continue
			}
			v, quality := valueOf(points[name], fields[i])
			values = append(values, value{name, v, quality})
		}
		return values, len(values) > 0
	}
}

// places takes numbers out of bytes. A frame that is too short for all of them
// is another one.
func places(c map[string]binary.Place, points map[string]adapters.Point) extractor {
	codecs := map[string]binary.Codec{}
	end := 0
	for name, place := range c {
		codecs[name] = place.Codec("ABCD")
		end = max(end, codecs[name].End())
	}
	return func(frame []byte) ([]value, bool) {
		if len(frame) < end {
			return nil, false
		}
		values := make([]value, 0, len(codecs))
		for name, codec := range codecs {
			v, quality := codec.Decode(points[name], frame)
			values = append(values, value{name, v, quality})
		}
		return values, true
	}
}
