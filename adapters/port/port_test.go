package port_test

import (
	"errors"
	"io"
	"os"
	"testing"
	"time"

	"edgeshadow/adapters/port"
	"edgeshadow/test/ptytest"
)

const patience = 10 * time.Second

func MustOpen(tb testing.TB, path string) *port.Port {
	tb.Helper()
	line, err := port.ParseLine("9600-8N1")
	if err != nil {
		tb.Fatal(err)
	}
	p, err := port.Open(path, line, nil)
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

func TestPort(t *testing.T) {
	l := ptytest.MustOpen(t)
	p := MustOpen(t, l.Path())
	if err := p.Write([]byte("hello\r\n"), patience); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 7)
	if _, err := io.ReadFull(l, got); err != nil || string(got) != "hello\r\n" {
		t.Fatalf("the line carries %q, %v", got, err)
	}
	if _, err := l.Write([]byte{0, 3, 0xFF, '\n'}); err != nil {
		t.Fatal(err)
	}
	n, err := p.Read(got, patience)
	if err != nil || string(got[:n]) != "\x00\x03\xff\n" {
		t.Fatalf("read %q, %v", got[:n], err)
	}
	if _, err := p.Read(got, 5*time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("read of a silent line: %v, want a timeout", err)
	}
	if _, err := l.Write([]byte("stale")); err != nil {
		t.Fatal(err)
	}
	if n, err := p.Read(got[:1], patience); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	if err := p.Flush(); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Read(got, 5*time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("read after a flush: %v, want a timeout", err)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	MustOpen(t, l.Path()).Close() // closed is free again
}

func TestPort_KeptForOneself(t *testing.T) {
	l := ptytest.MustOpen(t)
	p := MustOpen(t, l.Path())
	defer p.Close()
	if second, err := port.Open(l.Path(), port.Line{Baud: 9600, Bits: 8, Parity: 'N', Stop: 1}, nil); !errors.Is(err, port.ErrBusy) {
		if err == nil {
			second.Close()
		}
		t.Errorf("a second open: %v, want %v", err, port.ErrBusy)
	}
}

func TestPort_HangUp(t *testing.T) {
	l := ptytest.MustOpen(t)
	p := MustOpen(t, l.Path())
	done := make(chan error, 1)
	go func() {
		_, err := p.Read(make([]byte, 1), patience)
		done <- err
	}()
	l.Unplug()
	if err := <-done; !errors.Is(err, port.ErrHungUp) {
		t.Errorf("read of a line that was unplugged: %v, want %v", err, port.ErrHungUp)
	}
	if err := p.Write([]byte("x"), patience); !errors.Is(err, port.ErrHungUp) {
		t.Errorf("write: %v, want %v", err, port.ErrHungUp)
	}
	p.Close()
	if _, err := port.Open(l.Path(), port.Line{Baud: 9600, Bits: 8, Parity: 'N', Stop: 1}, nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("open of what is unplugged: %v", err)
	}
	if err := l.Plug(); err != nil {
		t.Fatal(err)
	}
	MustOpen(t, l.Path()).Close()
}

func TestOpen_Errors(t *testing.T) {
	line := port.Line{Baud: 9600, Bits: 8, Parity: 'N', Stop: 1}
	file := t.TempDir() + "/file"
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		file:       "open " + file + ": it is no serial port",
		"ttyUSB0":  `"ttyUSB0" is no port; write its path (/dev/serial/by-id/…, see edgeshadow ports) or usb:VID:PID[:SERIAL]`,
		"/dev/not": "open /dev/not: no such file or directory",
	} {
		if _, err := port.Open(name, line, nil); err == nil || err.Error() != want {
			t.Errorf("open %s: %v, want %s", name, err, want)
		}
	}
}

func TestOpen_RS485(t *testing.T) {
	l := ptytest.MustOpen(t)
	if _, err := port.Open(l.Path(), port.Line{Baud: 9600, Bits: 8, Parity: 'N', Stop: 1}, &port.RS485{}); err == nil {
		t.Error("a pty can do no RS-485, and nobody says so")
	}
}

func TestRS485_Validate(t *testing.T) {
	var got []string
	fault := func(key, text string) { got = append(got, key+": "+text) }
	(*port.RS485)(nil).Validate(fault)
	(&port.RS485{RTS: "low", Before: 2 * time.Millisecond, After: 100 * time.Millisecond}).Validate(fault)
	if len(got) > 0 {
		t.Errorf("faults of what is right: %q", got)
	}
	(&port.RS485{RTS: "up", Before: 500 * time.Microsecond, After: time.Second}).Validate(fault)
	if len(got) != 3 || got[0] != `rts: "up" is no level: high or low` {
		t.Errorf("faults = %q, want one each of rts, before and after", got)
	}
}

func TestParseLine(t *testing.T) {
	for text, ok := range map[string]bool{
		"9600-8N1": true, "19200-8e1": true, "9600-7E1": true, "115200-8O2": true, "9600": false, "9600-8N": false,
		"9601-8N1": false, "9600-9N1": false, "9600-8M1": false, "9600-8N3": false, "-8N1": false, "": false,
	} {
		if l, err := port.ParseLine(text); (err == nil) != ok {
			t.Errorf("ParseLine(%q) = %v, %v", text, l, err)
		}
	}
	l, _ := port.ParseLine("9600-8E1")
	if got := l.Time(11); got != 12604166*time.Nanosecond {
		t.Errorf("11 characters of %s take %s", l, got)
	}
}
