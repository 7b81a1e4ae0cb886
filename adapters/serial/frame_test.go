package serial_test

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"edgeshadow/adapters/serial"
)

// The check values of the catalogue of CRCs (reveng.sourceforge.io): what each
// makes of 123456789.
func TestCheck(t *testing.T) {
	for name, want := range map[string]string{
		"xor": "31", "sum8": "dd", "crc8": "f4", "crc16-modbus": "374b", "crc16-ccitt": "29b1",
	} {
		if got := hex.EncodeToString(serial.Check{Type: name}.Of([]byte("123456789"))); got != want {
			t.Errorf("%s = %s, want %s", name, got, want)
		}
	}
	inHex := serial.Check{Type: "crc16-modbus", Order: "AB", Hex: true}
	if got := inHex.Of([]byte("123456789")); string(got) != "4B37" {
		t.Errorf("crc16-modbus in hexadecimal = %s, want 4B37", got)
	}
}

func TestFramer(t *testing.T) {
	length := serial.Frame{Start: `\xAA`, Length: &serial.Length{At: 1, Add: 3}}
	for _, c := range []struct {
		name            string
		frame           serial.Frame
		check           serial.Check
		heard           string
		want            []string
		broken, skipped uint64
	}{
		{name: "lines", heard: "a\r\nb\n\r\n\nc", want: []string{"a", "b"}, skipped: 1},
		{name: "end", frame: serial.Frame{End: `\r\n`}, heard: "a\nb\r\nc\r\n", want: []string{"a\nb", "c"}},
		{name: "start and end", frame: serial.Frame{Start: `\x02`, End: `\x03`}, heard: "no\x02one\x03\x00\x02two\x03", want: []string{"one", "two"}, skipped: 3},
		{name: "a lost end", frame: serial.Frame{Start: "<", End: ">"}, heard: "<los<one>", want: []string{"one"}, broken: 1, skipped: 4},
		{name: "one marker for both", frame: serial.Frame{Start: "~", End: "~"}, heard: "~a~~b~", want: []string{"a", "b"}},
		{name: "length", frame: length, heard: "\x01\xAA\x02ab!\xAA\x00?", want: []string{"\xAA\x02ab!", "\xAA\x00?"}, skipped: 1},
		{name: "a length that lies", frame: serial.Frame{Start: `\xAA`, Max: 16, Length: &serial.Length{At: 1, Add: 3}},
			heard: "\xAA\xFF\xAA\x00?", want: []string{"\xAA\x00?"}, skipped: 2},
		{name: "fixed", frame: serial.Frame{Fixed: 3}, heard: "abcdefgh", want: []string{"abc", "def"}, skipped: 2},
		{name: "fixed between markers", frame: serial.Frame{Start: "<", End: ">", Fixed: 4}, heard: "<ab><abc<cd>", want: []string{"<ab", "<cd"}, broken: 1, skipped: 4},
		{name: "idle", frame: serial.Frame{Idle: 20 * time.Millisecond}, heard: "all of it", want: []string{"all of it"}},
		{name: "nmea", frame: serial.Frame{Start: "$", End: `\r\n`}, check: serial.Check{Type: "nmea"},
			heard: "$GPGLL,5300.97914,N,00259.98174,E,125926,A*28\r\n$GPGLL,5300.97914,N,00259.98174,E,125926,A*29\r\n$GPGLL\r\n",
			want:  []string{"GPGLL,5300.97914,N,00259.98174,E,125926,A"}, broken: 2},
		{name: "the check behind the end", frame: serial.Frame{Start: `\x02`, End: `\x03`}, check: serial.Check{Type: "xor", Behind: true},
			heard: "\x02A\x03" + string([]byte{'A' ^ 3}) + "\x02B\x03\x00", want: []string{"A"}, broken: 1},
		{name: "a check in hexadecimal", check: serial.Check{Type: "sum8", Hex: true}, heard: "1DD\n123456789dd\n123456789DD\n", want: []string{"123456789", "123456789"}, broken: 1},
		{name: "found again inside of a broken one", frame: serial.Frame{Start: `\xAA`, Fixed: 4}, check: serial.Check{Type: "xor"},
			heard: "\xAA\x01\xAA\x02\x03\xAB", want: []string{"\xAA\x02\x03"}, broken: 1, skipped: 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			whole := []byte(c.heard)
			single := make([][]byte, len(whole))
			for i := range whole {
				single[i] = whole[i : i+1]
			}
			for name, pieces := range map[string][][]byte{"at once": {whole}, "byte by byte": single} {
				frames, broken, skipped := serial.Frames(c.frame, c.check, pieces...)
				if d := cmp.Diff(c.want, frames); d != "" {
					t.Errorf("%s: frames (-want +got)\n%s", name, d)
				}
				if broken != c.broken || skipped != c.skipped {
					t.Errorf("%s: broken %d, skipped %d; want %d, %d", name, broken, skipped, c.broken, c.skipped)
				}
			}
		})
	}
}

// A port that is opened while the device talks hears the end of a line first.
func TestFramer_OpenedInTheMiddle(t *testing.T) {
	if got := serial.Late(serial.Frame{}, serial.Check{}, []byte("2.5kg\nST,GS,+12.5kg\n")); !cmp.Equal(got, []string{"ST,GS,+12.5kg"}) {
		t.Errorf("frames %q, want the second line", got)
	}
	if got := serial.Late(serial.Frame{Start: "<", End: ">"}, serial.Check{}, []byte("5><2>")); !cmp.Equal(got, []string{"2"}) {
		t.Errorf("frames %q, want what has a start", got)
	}
}

func TestFramer_Overlong(t *testing.T) {
	endless := strings.Repeat("x", 10_000)
	frames, broken, _ := serial.Frames(serial.Frame{End: `\n`, Max: 100}, serial.Check{}, []byte(endless+"tail\nshort\n"))
	if !cmp.Equal(frames, []string{"short"}) || broken == 0 {
		t.Errorf("frames %q, broken %d; want the short line and a broken one", frames, broken)
	}
}

// Whatever comes over a line, the framer holds a bounded part of it, frames are
// no longer than they may be, and pieces do not matter.
func FuzzFramer(f *testing.F) {
	f.Add([]byte("ST,GS,+12.5kg\r\n"), byte(0), uint8(3))
	f.Add([]byte("\x02abc\x03d\x02\x02\x03"), byte(1), uint8(1))
	f.Add([]byte("\xAA\x02ab!\xAA\xFF"), byte(2), uint8(2))
	f.Add([]byte("$GPGGA,1*00\r\n"), byte(5), uint8(4))
	shapes := []struct {
		frame serial.Frame
		check serial.Check
	}{
		{serial.Frame{Max: 64}, serial.Check{}},
		{serial.Frame{Start: `\x02`, End: `\x03`, Max: 64}, serial.Check{Type: "xor", Behind: true}},
		{serial.Frame{Start: `\xAA`, Length: &serial.Length{At: 1, Type: "uint16", Order: "DCBA", Add: -3}, Max: 64}, serial.Check{Type: "crc8"}},
		{serial.Frame{Fixed: 7, Max: 64}, serial.Check{Type: "crc16-modbus"}},
		{serial.Frame{Idle: time.Millisecond, Max: 64}, serial.Check{}},
		{serial.Frame{Start: "$", End: `\r\n`, Max: 64}, serial.Check{Type: "nmea"}},
		{serial.Frame{Start: "<", End: ">", Fixed: 5, Max: 64}, serial.Check{Type: "sum8", Hex: true, From: 9}},
	}
	f.Fuzz(func(t *testing.T, heard []byte, shape byte, step uint8) {
		s := shapes[int(shape)%len(shapes)]
		var pieces [][]byte
		for rest := heard; len(rest) > 0; {
			n := min(len(rest), 1+int(step)%32)
			pieces = append(pieces, rest[:n])
			rest = rest[n:]
		}
		frames, _, _ := serial.Frames(s.frame, s.check, pieces...)
		total := 0
		for _, frame := range frames {
			if total += len(frame); len(frame) > 64 {
				t.Fatalf("a frame of %d bytes, the most is 64", len(frame))
			}
		}
		if total > len(heard) {
			t.Fatalf("%d bytes of frames out of %d heard", total, len(heard))
		}
		if held := serial.Held(s.frame, s.check, heard, heard); held > 128+16 {
			t.Fatalf("%d bytes held", held)
		}
		if whole, _, _ := serial.Frames(s.frame, s.check, bytes.Clone(heard)); len(heard) <= 64 && !cmp.Equal(whole, frames) {
			t.Fatalf("in pieces %q, at once %q", frames, whole)
		}
	})
}
