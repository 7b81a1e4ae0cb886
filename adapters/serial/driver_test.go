package serial_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"edgeshadow/adapters"
	"edgeshadow/adapters/port"
	"edgeshadow/adapters/serial"
	"edgeshadow/test/fieldtest"
	"edgeshadow/test/serialtest"
)

// patience is how long a test waits for what is to come at once.
const patience = 20 * time.Second

func num(text string) json.Number { return json.Number(text) }

// MustNew is a driver of a port.
func MustNew(tb testing.TB, name string, things map[string]serial.Thing) *serial.Driver {
	tb.Helper()
	for thing, c := range things {
		c.Port = name
		things[thing] = c
		fault := func(key, text string) { tb.Errorf("%s.%s: %s", thing, key, text) }
		c.Validate(c.Points, fault, fault)
	}
	return serial.New(name, things, nil)
}

// MustRun runs a driver of a port until the test ends.
func MustRun(tb testing.TB, name string, things map[string]serial.Thing) (*serial.Driver, *fieldtest.Readings) {
	tb.Helper()
	d := MustNew(tb, name, things)
	r := &fieldtest.Readings{}
	ctx, cancel := context.WithCancel(tb.Context())
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx, r.Emit) }()
	tb.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			tb.Errorf("run: %v", err)
		}
	})
	return d, r
}

// awaitOpen waits until the port is open.
func awaitOpen(tb testing.TB, d *serial.Driver) {
	tb.Helper()
	fieldtest.Await(tb, "the port opens", func() bool { return d.Stats().Connected })
}

func scale(tb testing.TB, text string) *adapters.Decimal {
	tb.Helper()
	d, err := adapters.ParseDecimal(text)
	if err != nil {
		tb.Fatal(err)
	}
	return &d
}

// The scale of the design, to the letter.
func TestDriver_Scale(t *testing.T) {
	dev := serialtest.MustOpen(t)
	line, err := port.ParseLine("9600-7E1")
	if err != nil {
		t.Fatal(err)
	}
	d, r := MustRun(t, dev.Path(), map[string]serial.Thing{"scale-1": {Config: serial.Config{
		Line: &line, Frame: serial.Frame{End: "\r\n"}, Parse: `ST,GS,(?P<weight>[+-]\d+\.\d)kg`,
	}}})
	awaitOpen(t, d)
	dev.Say("GS,+99.9kg\r\nUS,GS,+11.0kg\r\nST,GS,+12.5kg\r\nST,GS,-0.5kg\r\n")
	r.AwaitValue(t, "scale-1/weight", num("-0.5"))
	if n := r.Times("scale-1/weight"); n != 2 {
		t.Errorf("%d weights, want the two that are stable and whole", n)
	}
}

func TestDriver_Extraction(t *testing.T) {
	for name, c := range map[string]struct {
		cfg    serial.Config
		points map[string]adapters.Point
		heard  string
		want   map[string]any
	}{
		"parse": {
			cfg:    serial.Config{Parse: `^(?P<id>\S+) (?P<level>\S+) (?P<state>\w+)(?: (?P<alarm>\w+))?`},
			points: map[string]adapters.Point{"id": {Type: "string"}, "level": {Scale: scale(t, "0.01")}},
			heard:  "00420 +0125 OPEN\n", want: map[string]any{"id": "00420", "level": num("1.25"), "state": "OPEN"},
		},
		"csv": {
			cfg:   serial.Config{CSV: &serial.CSV{Columns: []string{"_", "temperature", "", "text"}, Separator: ";"}},
			heard: "7; 21.50 ;x;\"a;b\"\n", want: map[string]any{"temperature": num("21.5"), "text": "a;b"},
		},
		"json": {
			cfg:   serial.Config{JSON: map[string]string{"net": "/net/value", "on": "/on", "first": "/list/0/a~1b", "none": "/no", "object": "/net"}},
			heard: `{"net":{"value":1.50},"on":true,"list":[{"a/b":"x"}]}` + "\n",
			want:  map[string]any{"net": num("1.5"), "on": true, "first": "x", "object": nil},
		},
		"nmea": {
			cfg: serial.Config{Frame: serial.Frame{Start: "$", End: `\r\n`}, Check: serial.Check{Type: "nmea"},
				NMEA: map[string]string{"altitude": "GGA.9", "satellites": "GPGGA.7", "age": "GGA.13", "speed": "VTG.7"}},
			heard: "$GPGGA,123519,4807.038,N,01131.000,E,1,08,0.9,545.4,M,46.9,M,,*47\r\n",
			want:  map[string]any{"altitude": num("545.4"), "satellites": num("8"), "age": nil},
		},
	} {
		t.Run(name, func(t *testing.T) {
			dev := serialtest.MustOpen(t)
			d, r := MustRun(t, dev.Path(), map[string]serial.Thing{"dev": {Config: c.cfg, Points: c.points}})
			awaitOpen(t, d)
			dev.Say("\r\n\r\n" + c.heard) // the first line of an opened port may be half a one
			for point, want := range c.want {
				r.AwaitValue(t, "dev/"+point, want)
			}
			r.Await(t, fmt.Sprintf("readings of %d points", len(c.want)), func(last map[string]adapters.Reading) bool { return len(last) == len(c.want) })
		})
	}
}

// L2: a plug that is pulled and put back, as another
// device under the same name, is heard again, and the port is given up at once.
func TestL2_ReplugNeedsNobody(t *testing.T) {
	dev := serialtest.MustOpen(t)
	d, r := MustRun(t, dev.Path(), map[string]serial.Thing{"dev": {Config: serial.Config{Parse: `^v=(?P<v>\d+)$`}}})
	for i := range 3 {
		awaitOpen(t, d)
		dev.Say(fmt.Sprintf("\nv=%d\n", i))
		r.AwaitValue(t, "dev/v", num(fmt.Sprint(i)))
		dev.Unplug()
		fieldtest.Await(t, "the pulled plug is noticed", func() bool { return !d.Stats().Connected })
		if s := d.Stats(); !strings.Contains(s.Err, port.ErrHungUp.Error()) && !strings.Contains(s.Err, "no such file") {
			t.Errorf("the error is %q, want the hang-up", s.Err)
		}
		if err := dev.Plug(); err != nil {
			t.Fatal(err)
		}
	}
	awaitOpen(t, d)
	if s := d.Stats(); s.Sessions != 4 || s.Err != "" {
		t.Errorf("%d sessions, error %q; want 4 and none", s.Sessions, s.Err)
	}
}

func TestDriver_Polls(t *testing.T) {
	dev := serialtest.MustOpen(t)
	dev.Answer(func(request string) string { return strings.ToLower(request) + "=7\r\n" })
	d, r := MustRun(t, dev.Path(), map[string]serial.Thing{"dev": {Config: serial.Config{
		Parse: `^(?:w=(?P<w>\d+)|t=(?P<t>\d+))$`, Timeout: 50 * time.Millisecond,
		Poll: []serial.Poll{{Send: `W\r\n`, Every: 20 * time.Millisecond}, {Send: "T\r", Every: 20 * time.Millisecond}},
	}}})
	r.AwaitValue(t, "dev/w", num("7"))
	r.AwaitValue(t, "dev/t", num("7"))

	dev.Mute(true)
	r.AwaitValue(t, "dev/w", nil)
	if got := r.AwaitValue(t, "dev/t", nil); got.Quality != adapters.Timeout {
		t.Errorf("quality %q of what is not answered, want timeout", got.Quality)
	}
	dev.Mute(false)
	dev.Garble("\xFF\x00w=9")
	r.AwaitValue(t, "dev/w", num("7"))
	if s := d.Stats(); s.Errors == 0 || s.Requests <= s.Errors {
		t.Errorf("%d errors of %d requests", s.Errors, s.Requests)
	}
}

// A device that holds a set-point and says OK, or no.
func controller(held *string) func(string) string {
	var mu sync.Mutex
	return func(request string) string {
		mu.Lock()
		defer mu.Unlock()
		switch {
		case request == "SP?":
			return "SP=" + *held + "\r\n"
		case strings.HasPrefix(request, "SP 99"):
			return "ERR out of range\r\n"
		case strings.HasPrefix(request, "SP "):
			*held = strings.TrimPrefix(request, "SP ")
			return "OK\r\n"
		}
		return ""
	}
}

func TestDriver_Write(t *testing.T) {
	dev := serialtest.MustOpen(t)
	held := "20.0"
	dev.Answer(controller(&held))
	d, r := MustRun(t, dev.Path(), map[string]serial.Thing{"dev": {
		Config: serial.Config{
			Parse: `^SP=(?P<setpoint>[\d.]+)$`, Refused: "^ERR", Timeout: 300 * time.Millisecond,
			Poll:     []serial.Poll{{Send: `SP?\r\n`, Every: 10 * time.Millisecond}},
			Commands: map[string]serial.Command{"setpoint": {Send: `SP {value:.1}\r\n`, Read: `SP?\r\n`}},
		},
		Points: map[string]adapters.Point{"setpoint": {Write: true}},
	}})
	r.AwaitValue(t, "dev/setpoint", num("20"))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()

	fitted, err := d.Fit("dev", "setpoint", num("21.4499"))
	if err != nil || fitted != num("21.4") {
		t.Fatalf("fit %v, %v; want 21.4", fitted, err)
	}
	got, err := d.Write(ctx, adapters.Command{Thing: "dev", Path: "setpoint", Value: fitted})
	if err != nil || got.Value != num("21.4") || got.Quality != adapters.Good {
		t.Fatalf("write: %+v, %v", got, err)
	}
	r.AwaitValue(t, "dev/setpoint", num("21.4"))

	// What it holds is not written again.
	before := len(dev.Heard())
	if got, err = d.Write(ctx, adapters.Command{Thing: "dev", Path: "setpoint", Value: fitted, ReadFirst: true}); err != nil || got.Value != num("21.4") {
		t.Fatalf("write of what it holds: %+v, %v", got, err)
	}
	for _, request := range dev.Heard()[before:] {
		if request != "SP?" {
			t.Errorf("%q was sent, though the device held it", request)
		}
	}
	if _, err = d.Write(ctx, adapters.Command{Thing: "dev", Path: "setpoint", Value: num("22"), ReadFirst: true}); err != nil || held != "22.0" {
		t.Fatalf("after a look: %v, the device holds %s", err, held)
	}

	var no *adapters.RefusedError
	if _, err = d.Write(ctx, adapters.Command{Thing: "dev", Path: "setpoint", Value: num("99")}); !errors.As(err, &no) || !strings.Contains(no.Reason, "ERR out of range") {
		t.Errorf("a value that the device refuses: %v", err)
	}
	dev.Mute(true)
	if _, err = d.Write(ctx, adapters.Command{Thing: "dev", Path: "setpoint", Value: num("23")}); err == nil || errors.As(err, &no) {
		t.Errorf("a device that is silent: %v, want no answer", err)
	}
	dev.Unplug()
	if _, err = d.Write(ctx, adapters.Command{Thing: "dev", Path: "setpoint", Value: num("23")}); err == nil {
		t.Error("a write to what is unplugged succeeded")
	}
}

// A device that speaks unasked is believed when it says the value, and in the
// end whatever it says.
func TestDriver_WriteReadBackUnasked(t *testing.T) {
	dev := serialtest.MustOpen(t)
	dev.Answer(func(request string) string {
		if v, ok := strings.CutPrefix(request, "!"); ok {
			return "v=1\nv=1\nv=" + v + "\n" // it takes a while to take it on
		}
		return ""
	})
	d, _ := MustRun(t, dev.Path(), map[string]serial.Thing{"dev": {
		Config: serial.Config{Parse: `^v=(?P<v>\d+)$`, Timeout: 100 * time.Millisecond, Commands: map[string]serial.Command{"v": {Send: `!{value}\n`}}},
		Points: map[string]adapters.Point{"v": {Write: true}},
	}})
	awaitOpen(t, d)
	dev.Say("\n")
	for value, want := range map[string]string{"5": "5", "07": "7"} {
		got, err := d.Write(t.Context(), adapters.Command{Thing: "dev", Path: "v", Value: num(value)})
		if err != nil || got.Value != num(want) {
			t.Errorf("write %s: %+v, %v; want %s", value, got, err, want)
		}
	}
}

// Things that share a port get the frames that are theirs.
func TestDriver_Shared(t *testing.T) {
	dev := serialtest.MustOpen(t)
	d, r := MustRun(t, dev.Path(), map[string]serial.Thing{
		"a": {Config: serial.Config{Match: "^A,", CSV: &serial.CSV{Columns: []string{"_", "v"}}}},
		"b": {Config: serial.Config{Match: "^B,", CSV: &serial.CSV{Columns: []string{"_", "v"}}}},
	})
	awaitOpen(t, d)
	dev.Say("\nA,1\nB,2\nC,3\n")
	r.AwaitValue(t, "b/v", num("2"))
	r.AwaitValue(t, "a/v", num("1"))

	// A thing that changes changes nothing for the other, nor for the port.
	commit, _, err := d.Prepare(map[string]serial.Thing{
		"a": {Config: serial.Config{Match: "^A,", CSV: &serial.CSV{Columns: []string{"_", "v"}}}},
		"c": {Config: serial.Config{Match: "^C,", CSV: &serial.CSV{Columns: []string{"_", "v"}}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	commit()
	fieldtest.Await(t, "c is heard", func() bool {
		dev.Say("C,3\n")
		return r.Times("c/v") > 0
	})
	r.AwaitValue(t, "c/v", num("3"))
	dev.Say("B,9\nC,4\n")
	r.AwaitValue(t, "c/v", num("4"))
	if n := r.Times("b/v"); n != 1 {
		t.Errorf("b was read %d times, want once: then it was taken out", n)
	}
	if s := d.Stats().Sessions; s != 1 {
		t.Errorf("the port was opened %d times, want once", s)
	}
}

func TestDriver_Tap(t *testing.T) {
	dev := serialtest.MustOpen(t)
	dev.Answer(func(string) string { return "v=1\r\n" })
	d, _ := MustRun(t, dev.Path(), map[string]serial.Thing{"dev": {Config: serial.Config{
		Parse: `^v=(?P<v>\d+)$`, Poll: []serial.Poll{{Send: `?\r`, Every: 10 * time.Millisecond}},
	}}})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var seen [3]string
	enough := errors.New("enough")
	err := d.Tap(ctx, func(c serial.Chunk) error {
		for i, part := range [][]byte{c.Raw, c.Frame, c.Sent} {
			if part != nil {
				seen[i] = string(part)
			}
		}
		if seen[0] != "" && seen[1] != "" && seen[2] != "" {
			return enough
		}
		return nil
	})
	if d := cmp.Diff([3]string{"v=1\r\n", "v=1", "?\r"}, seen); !errors.Is(err, enough) || d != "" {
		t.Errorf("%v, heard, framed, sent (-want +got)\n%s", err, d)
	}
}

// A watchdog sees since when the driver is at what it is at, and that it gets on.
func TestDriver_TellsItsTurn(t *testing.T) {
	dev := serialtest.MustOpen(t)
	d := MustNew(t, dev.Path(), map[string]serial.Thing{"scale-1": {Config: serial.Config{
		Frame: serial.Frame{End: "\r\n"}, Parse: `(?P<weight>[+-]\d+\.\d)kg`,
	}}})
	began, stop := fieldtest.MustHang(t, d, func() {
		awaitOpen(t, d)
		dev.Say("kg\r\n+12.5kg\r\n") // the first may be cut
	})
	fieldtest.Await(t, "it gets on", func() bool { now := d.Stats().BusySince; return now != nil && now.After(began) })
	if err := stop(); err != nil || d.Stats().BusySince != nil {
		t.Errorf("it ended with %v, busy since %v", err, d.Stats().BusySince)
	}
}
