package port

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// bauds are the rates that a line can have (termios).
var bauds = []int{
	50, 75, 110, 134, 150, 200, 300, 600, 1200, 1800, 2400, 4800, 9600, 19200, 38400, 57600, 115200, 230400,
	460800, 500000, 576000, 921600, 1000000, 1152000, 1500000, 2000000, 2500000, 3000000, 3500000, 4000000,
}

var errLine = errors.New("write baud-bits, parity and stop bits: 9600-8N1, 19200-8E1, 9600-7E1, 9600-8N2")

// Line is how bits lie on the wire. The zero Line is none; see ParseLine.
type Line struct {
	Baud   int
	Bits   int  // of a character, 5 to 8
	Parity byte // N, E or O
	Stop   int  // bits, 1 or 2
}

// ParseLine reads 9600-8N1.
func ParseLine(text string) (Line, error) {
	var l Line
	err := l.UnmarshalText([]byte(text))
	return l, err
}

// UnmarshalText reads 9600-8N1.
func (l *Line) UnmarshalText(text []byte) error {
	rate, frame, ok := strings.Cut(strings.ToUpper(string(text)), "-")
	baud, err := strconv.Atoi(rate)
	if !ok || err != nil || len(frame) != 3 {
		return errLine
	}
	if !slices.Contains(bauds, baud) {
		return fmt.Errorf("%d baud is no rate of a serial line: 1200 2400 4800 9600 19200 38400 57600 115200 …", baud)
	}
	next := Line{baud, int(frame[0] - '0'), frame[1], int(frame[2] - '0')}
	if next.Bits < 5 || next.Bits > 8 || !strings.ContainsRune("NEO", rune(next.Parity)) || next.Stop < 1 || next.Stop > 2 {
		return errLine
	}
	*l = next
	return nil
}

// String is 9600-8N1.
func (l Line) String() string { return fmt.Sprintf("%d-%d%c%d", l.Baud, l.Bits, l.Parity, l.Stop) }

// Time is how long n characters take on the wire.
func (l Line) Time(n int) time.Duration {
	if l.Baud == 0 {
		return 0
	}
	bits := 1 + l.Bits + l.Stop
	if l.Parity != 'N' {
		bits++
	}
	return time.Duration(n*bits) * time.Second / time.Duration(l.Baud)
}
