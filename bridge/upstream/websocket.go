package upstream

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

const wssPort = "443"

// UpgradeError is a server that did not make a WebSocket of the connection.
type UpgradeError struct {
	Status int // of HTTP
	Text   string
}

func (e *UpgradeError) Error() string {
	return strings.TrimSpace(fmt.Sprintf("no WebSocket: HTTP %d %s", e.Status, e.Text))
}

// upgrade makes a WebSocket of a connection that TLS secured. The address may
// hold a signature; without one, the certificate says who we are.
func upgrade(ctx context.Context, secured net.Conn, address string) (net.Conn, error) {
	d := websocket.Dialer{
		NetDialTLSContext: func(context.Context, string, string) (net.Conn, error) { return secured, nil },
		HandshakeTimeout:  connectTimeout,
		Subprotocols:      []string{"mqtt"},
	}
	ws, answer, err := d.DialContext(ctx, address, nil)
	if answer != nil && answer.StatusCode != http.StatusSwitchingProtocols {
		const most = 200 // what a server says of itself
		text, _ := io.ReadAll(io.LimitReader(answer.Body, most))
		return nil, &UpgradeError{answer.StatusCode, strings.ToValidUTF8(string(text), "")}
	}
	if err != nil {
		return nil, err
	}
	if ws.Subprotocol() != "mqtt" { // [MQTT-6.0.0-3]
		_ = ws.Close()
		return nil, &UpgradeError{http.StatusSwitchingProtocols, "without MQTT"}
	}
	ws.SetReadLimit(maxPacket)
	return &socket{Conn: ws}, nil
}

// socket is a WebSocket as a stream [MQTT-6.0.0-2].
type socket struct {
	*websocket.Conn
	message io.Reader  // the rest of the current one
	writing sync.Mutex // paho writes pings beside its messages
}

func (s *socket) Read(p []byte) (int, error) {
	for {
		if s.message == nil {
			kind, r, err := s.NextReader()
			if err != nil {
				return 0, closedAs(err)
			}
			if kind != websocket.BinaryMessage { // [MQTT-6.0.0-1]
				return 0, fmt.Errorf("a WebSocket message that is not binary")
			}
			s.message = r
		}
		n, err := s.message.Read(p)
		if err == io.EOF {
			s.message, err = nil, nil
			if n == 0 {
				continue
			}
		}
		return n, err
	}
}

// closedAs makes the end of a WebSocket the end of a stream.
func closedAs(err error) error {
	if websocket.IsCloseError(err, websocket.CloseNormalClosure, websocket.CloseGoingAway, websocket.CloseNoStatusReceived) {
		return io.EOF
	}
	return err
}

func (s *socket) Write(p []byte) (int, error) {
	s.writing.Lock()
	defer s.writing.Unlock()
	if err := s.WriteMessage(websocket.BinaryMessage, p); err != nil {
		return 0, err
	}
	return len(p), nil
}

func (s *socket) SetWriteDeadline(t time.Time) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	return s.Conn.SetWriteDeadline(t)
}

func (s *socket) SetDeadline(t time.Time) error {
	if err := s.SetReadDeadline(t); err != nil {
		return err
	}
	return s.SetWriteDeadline(t)
}
