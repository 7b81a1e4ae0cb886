package broker

import (
	"errors"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"
)

// wsBuffer is what a WebSocket costs each way beside its connection's buffers,
// which are there while something is sent.
const wsBuffer = 2048

// wsFrame bounds a message of a client. A packet may come in several, and
// several in one [MQTT-6.0.0-2].
const wsFrame = 256 << 10

var upgrader = websocket.Upgrader{
	ReadBufferSize:  wsBuffer,
	WriteBufferSize: wsBuffer,
	Subprotocols:    []string{"mqtt", "mqttv3.1"},             // [MQTT-6.0.0-4]; the second is what AWS device SDK v1 asks for
	CheckOrigin:     func(*http.Request) bool { return true }, // see foreign
	Error: func(w http.ResponseWriter, _ *http.Request, status int, reason error) {
		http.Error(w, reason.Error(), status)
	},
}

// serveWebSocket makes an MQTT connection of a request, whatever its path; that
// of AWS IoT is /mqtt.
func (b *Broker) serveWebSocket(w http.ResponseWriter, r *http.Request, p *place) {
	ws, err := upgrader.Upgrade(w, r, nil)
	if err != nil { // it is answered
		b.stats.refused.Add(1)
		p.l.log.Info("WebSocket refused", "remote", r.RemoteAddr, "err", err)
		return
	}
	ws.SetReadLimit(wsFrame)
	c := newConn(&webSocket{Conn: ws}, b.cutSlow, &b.traffic, origin{listener: p.l, admits: p.rules.auth, request: r})
	if !p.l.begin(c) {
		_ = c.Close()
		return
	}
	p.l.session(c, p.establish)
}

var errText = errors.New("a WebSocket message of text, where MQTT is binary")

// webSocket is a WebSocket as a stream of bytes.
type webSocket struct {
	*websocket.Conn
	message io.Reader // that is being read; nil: none
	until   atomic.Pointer[time.Time]
}

func (w *webSocket) Read(p []byte) (int, error) {
	for {
		if w.message == nil {
			kind, r, err := w.NextReader()
			if err != nil {
				return 0, err
			}
			if kind != websocket.BinaryMessage {
				return 0, errText // [MQTT-6.0.0-1]
			}
			w.message = r
		}
		n, err := w.message.Read(p)
		if errors.Is(err, io.EOF) {
			w.message, err = nil, nil
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
}

func (w *webSocket) Write(p []byte) (int, error) {
	if t := w.until.Load(); t != nil {
		_ = w.Conn.SetWriteDeadline(*t) // never fails
	}
	if err := w.WriteMessage(websocket.BinaryMessage, p); err != nil {
		return 0, err
	}
	return len(p), nil
}

// SetWriteDeadline holds for a Write that is under way, too; that of the library
// does not, and belongs to the goroutine that writes.
func (w *webSocket) SetWriteDeadline(t time.Time) error {
	w.until.Store(&t)
	return w.NetConn().SetWriteDeadline(t)
}

func (w *webSocket) SetDeadline(t time.Time) error {
	return errors.Join(w.SetReadDeadline(t), w.SetWriteDeadline(t))
}

// Close says goodbye. Nobody writes when it is called.
func (w *webSocket) Close() error {
	bye := websocket.FormatCloseMessage(websocket.CloseNormalClosure, "")
	_ = w.WriteControl(websocket.CloseMessage, bye, time.Now().Add(lingerTimeout))
	return w.Conn.Close()
}

var _ net.Conn = (*webSocket)(nil)
