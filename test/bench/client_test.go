package bench_test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"testing"
)

// client speaks just enough MQTT 3.1.1 to ask and be answered at QoS 1, so that
// the generator costs the same whatever is measured.
type client struct {
	conn   net.Conn
	in     *bufio.Reader
	packet []byte // the PUBLISH that asks
	answer []byte // its answer's topic
}

func mustDial(b *testing.B, addr, id, request, answer string, payload []byte) *client {
	b.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { conn.Close() })
	c := &client{conn: conn, in: bufio.NewReaderSize(conn, 16<<10), answer: []byte(answer)}
	connect := append([]byte{0, 4, 'M', 'Q', 'T', 'T', 4, 2, 0, 0}, text(id)...)
	subscribe := append([]byte{0, 1}, append(text(answer), 1)...)
	c.mustSend(b, 0x10, connect)
	c.mustExpect(b, 0x20)
	c.mustSend(b, 0x82, subscribe)
	c.mustExpect(b, 0x90)
	c.packet = packet(0x32, append(append(text(request), 0, 9), payload...))
	return c
}

// ask publishes and returns when PUBACK and answer have come.
func (c *client) ask() error {
	if _, err := c.conn.Write(c.packet); err != nil {
		return err
	}
	for acked, answered := false, false; !acked || !answered; {
		header, body, err := c.read()
		if err != nil {
			return err
		}
		switch header & 0xf0 {
		case 0x40:
			acked = true
		case 0x30:
			n := int(binary.BigEndian.Uint16(body))
			if !bytes.Equal(body[2:2+n], c.answer) {
				return fmt.Errorf("a message on %q", body[2:2+n])
			}
			answered = true
			if header&0x06 != 0 {
				if _, err := c.conn.Write([]byte{0x40, 2, body[2+n], body[3+n]}); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// receive reads up to one message, and acknowledges it.
func (c *client) receive() error {
	for {
		header, body, err := c.read()
		if err != nil {
			return err
		}
		if header&0xf0 != 0x30 {
			continue
		}
		if header&0x06 != 0 {
			n := int(binary.BigEndian.Uint16(body))
			_, err = c.conn.Write([]byte{0x40, 2, body[2+n], body[3+n]})
		}
		return err
	}
}

func (c *client) read() (header byte, body []byte, err error) {
	if header, err = c.in.ReadByte(); err != nil {
		return 0, nil, err
	}
	n, err := binary.ReadUvarint(c.in) // the remaining length is a varint
	if err != nil {
		return 0, nil, err
	}
	body = make([]byte, n)
	_, err = io.ReadFull(c.in, body)
	return header, body, err
}

func (c *client) mustSend(b *testing.B, header byte, body []byte) {
	b.Helper()
	if _, err := c.conn.Write(packet(header, body)); err != nil {
		b.Fatal(err)
	}
}

func (c *client) mustExpect(b *testing.B, want byte) {
	b.Helper()
	if header, body, err := c.read(); err != nil || header != want {
		b.Fatalf("got packet %#x %x, %v, want %#x", header, body, err, want)
	}
}

func text(s string) []byte { return append(binary.BigEndian.AppendUint16(nil, uint16(len(s))), s...) }

func packet(header byte, body []byte) []byte {
	return append(binary.AppendUvarint([]byte{header}, uint64(len(body))), body...)
}
