package upstream

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/url"
	"os"
	"sync/atomic"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
)

const (
	connectTimeout = 15 * time.Second // for TCP and TLS together, and for the CONNACK
	writeTimeout   = 10 * time.Second // else a peer that stops reading is never noticed
)

// What ended a connection that no error of the network ended.
var (
	errSilent  = errors.New("nothing heard")
	errStalled = errors.New("takes no data")
	errEnded   = errors.New("connection ended") // paho passes over net.ErrClosed
)

// traffic counts over all epochs.
type traffic struct {
	bytesIn, bytesOut, messagesIn, messagesOut, attempts atomic.Int64
	heard                                                atomic.Int64 // Unix nanoseconds
}

// link is the connection under paho. Paho writes pings and acknowledgements
// without a deadline and never notices a peer that stops reading, so link bounds
// each read and write itself, looks at what comes before paho does, and says why
// it ended.
type link struct {
	net.Conn          // TCP, or TLS over it
	tcp      net.Conn // to close: TLS would wait to say goodbye
	traffic  *traffic
	in       *bufio.Reader // paho reads byte by byte
	frames   frames
	silence  time.Duration // without a byte, after the CONNACK
	ended    func(error)
}

// dial connects. The operating system's own keep-alive is off: ours asks the
// broker and not only its kernel, and idle traffic costs money.
// Address is where a WebSocket is asked for; empty without one.
func dial(ctx context.Context, a address, tlsConfig *tls.Config, address string) (*link, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	d := net.Dialer{KeepAlive: -1}
	tcp, err := d.DialContext(ctx, "tcp", a.String())
	if err != nil {
		return nil, &linkError{dialing, a, err}
	}
	l := &link{Conn: tcp, tcp: tcp}
	if tlsConfig != nil {
		secured := tls.Client(tcp, tlsConfig)
		if err := secured.HandshakeContext(ctx); err != nil {
			_ = tcp.Close()
			return nil, &linkError{securing, a, err}
		}
		l.Conn = secured
	}
	if a.ws {
		if l.Conn, err = upgrade(ctx, l.Conn, address); err != nil {
			_ = tcp.Close()
			return nil, &linkError{upgrading, a, err}
		}
	}
	l.in = bufio.NewReader(source{l})
	return l, nil
}

// source is the link below the buffer.
type source struct{ *link }

func (s source) Read(p []byte) (int, error) {
	wait := s.silence
	if !s.frames.connected {
		wait = connectTimeout
	}
	_ = s.Conn.SetReadDeadline(time.Now().Add(wait))
	n, err := s.Conn.Read(p)
	if n > 0 {
		s.traffic.bytesIn.Add(int64(n))
		s.traffic.heard.Store(time.Now().UnixNano())
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = errSilent
	}
	return n, err
}

func (l *link) Read(p []byte) (int, error) {
	n, err := l.in.Read(p)
	if wrong := l.frames.see(p[:n]); wrong != nil {
		return 0, l.broken(wrong)
	}
	if err != nil {
		return n, l.broken(err)
	}
	return n, nil
}

func (l *link) Write(p []byte) (int, error) {
	_ = l.Conn.SetWriteDeadline(time.Now().Add(writeTimeout))
	n, err := l.Conn.Write(p)
	l.traffic.bytesOut.Add(int64(n))
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = errStalled
	}
	if err != nil {
		return n, l.broken(err)
	}
	return n, nil
}

// broken ends the epoch, unless somebody closed the link, who says why.
func (l *link) broken(err error) error {
	if !errors.Is(err, net.ErrClosed) {
		l.ended(err)
	}
	return errEnded
}

// open is how paho gets the link, which is connected already.
func (l *link) open(*url.URL, mqtt.ClientOptions) (net.Conn, error) { return l, nil }

// Deadlines are the link's own: paho's would lift them.
func (l *link) SetDeadline(time.Time) error      { return nil }
func (l *link) SetReadDeadline(time.Time) error  { return nil }
func (l *link) SetWriteDeadline(time.Time) error { return nil }
