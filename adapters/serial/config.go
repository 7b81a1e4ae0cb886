package serial

import (
	"time"

	"edgeshadow/adapters/binary"
	"edgeshadow/adapters/port"
)

const (
	// defaultMax is the longest frame without a max: longer lines than this are
	// no measurement.
	defaultMax = 1024
	maxMax     = 64 << 10
	// defaultEvery is how often values are reported, and a request is sent,
	// without an every.
	defaultEvery = time.Second
	// defaultTimeout is how long an answer may take to begin.
	defaultTimeout = time.Second
	// defaultSilence is the silence of a device that speaks unasked after which
	// it is offline.
	defaultSilence = time.Minute
)

// defaultLine is the setting of most devices.
var defaultLine = port.Line{Baud: 9600, Bits: 8, Parity: 'N', Stop: 1}

// Config is the serial section of a thing.
type Config struct {
	Port  string      `yaml:"port"` // a path, by-id at best, or usb:VID:PID[:SERIAL]
	Line  *port.Line  `yaml:"line"` // nil: 9600-8N1
	RS485 *port.RS485 `yaml:"rs485"`
	Frame Frame       `yaml:"frame"`
	Check Check       `yaml:"check"`

	// Match is a regular expression that the frames of this thing match; empty:
	// those that parse matches, or all.
	Match string `yaml:"match"`
	// One of these says what of a frame are values.
	Parse  string                  `yaml:"parse"`  // a regular expression; named groups are values
	CSV    *CSV                    `yaml:"csv"`    // names of columns
	JSON   map[string]string       `yaml:"json"`   // JSON pointers (RFC 6901) by name
	NMEA   map[string]string       `yaml:"nmea"`   // SENTENCE.FIELD by name, the first field is 1: GGA.9
	Binary map[string]binary.Place `yaml:"binary"` // places of bytes by name

	Poll     []Poll             `yaml:"poll"`     // nil: the device speaks unasked
	Commands map[string]Command `yaml:"commands"` // by the name of a point with write: true
	// Refused is a regular expression: a frame that matches it is the device's
	// no to the command before.
	Refused string `yaml:"refused"`
	// Timeout is how long an answer may take; 0 means 1 s.
	Timeout time.Duration `yaml:"timeout"`
	// OfflineAfter is as the thing's own; 0 means 3 × the shortest every of
	// poll, at least 5 s, and 1 minute without poll.
	OfflineAfter time.Duration `yaml:"offline_after"`
}

// Frame says where frames begin and end. Markers take the escapes \r \n \t \\
// and \xNN.
type Frame struct {
	Start  string        `yaml:"start"`
	End    string        `yaml:"end"`
	Length *Length       `yaml:"length"`
	Fixed  int           `yaml:"fixed"` // bytes
	Idle   time.Duration `yaml:"idle"`  // the silence that ends a frame
	Max    int           `yaml:"max"`   // bytes; 0 means 1024
}

// Length is where a frame says how long it is.
type Length struct {
	At    int    `yaml:"at"`
	Type  string `yaml:"type"` // uint8 (default), uint16, uint24, uint32
	Order string `yaml:"order"`
	Add   int    `yaml:"add"` // to what is there, for the length of the whole frame
}

// Check says how a damaged frame is told from a whole one.
type Check struct {
	Type   string `yaml:"type"`
	From   int    `yaml:"from"`   // the first byte that it covers
	Order  string `yaml:"order"`  // of two bytes: AB high byte first, BA low byte first; empty: as the type has it
	Hex    bool   `yaml:"hex"`    // it is written in hexadecimal digits
	Behind bool   `yaml:"behind"` // it stands behind frame.end
}

// UnmarshalYAML reads a type, or all of it.
func (c *Check) UnmarshalYAML(unmarshal func(any) error) error {
	if unmarshal(&c.Type) == nil {
		return nil
	}
	type plain Check
	return unmarshal((*plain)(c))
}

// CSV are the columns of a line.
type CSV struct {
	Columns   []string `yaml:"columns"`   // "" and _ are nobody's
	Separator string   `yaml:"separator"` // one character; empty: a comma
}

// UnmarshalYAML reads a list of columns, or all of it.
func (c *CSV) UnmarshalYAML(unmarshal func(any) error) error {
	if unmarshal(&c.Columns) == nil {
		return nil
	}
	type plain CSV
	return unmarshal((*plain)(c))
}

// Poll is a request that is sent again and again.
type Poll struct {
	Send  string        `yaml:"send"`  // takes the escapes of a marker, and {check}
	Every time.Duration `yaml:"every"` // 0 means 1 s
}

// Command is what a desired value becomes.
type Command struct {
	// Send takes the escapes of a marker, {value}, {value:06.1} (six
	// characters, filled with zeros, one decimal) and {check}.
	Send string `yaml:"send"`
	// Read asks for the value, so that it is read back; empty: the device says
	// it unasked.
	Read string `yaml:"read"`
}

// LineOrDefault is the setting of the line.
func (c Config) LineOrDefault() port.Line {
	if c.Line == nil {
		return defaultLine
	}
	return *c.Line
}

func (c Config) timeout() time.Duration {
	if c.Timeout == 0 {
		return defaultTimeout
	}
	return c.Timeout
}

// Silence is OfflineAfter with its default.
func (c Config) Silence() time.Duration {
	switch {
	case c.OfflineAfter != 0:
		return c.OfflineAfter
	case len(c.Poll) == 0:
		return defaultSilence
	}
	shortest := c.Poll[0].every()
	for _, p := range c.Poll {
		shortest = min(shortest, p.every())
	}
	return max(5*time.Second, 3*(shortest+c.timeout()))
}

func (p Poll) every() time.Duration {
	if p.Every == 0 {
		return defaultEvery
	}
	return p.Every
}

func (f Frame) max() int {
	if f.Max == 0 {
		return defaultMax
	}
	return f.Max
}
