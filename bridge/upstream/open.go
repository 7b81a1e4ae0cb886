package upstream

import (
	"context"
	"net"
	"strings"
	"time"
)

// Open connects as far as MQTT: TCP, TLS and the WebSocket, by the same rules
// as a Client. It is for clients of another kind, that speak MQTT themselves.
func (c Config) Open(ctx context.Context) (net.Conn, error) {
	a, err := c.address()
	if err != nil {
		return nil, err
	}
	l, err := c.open(ctx, a, time.Now)
	if err != nil {
		return nil, err
	}
	return l.Conn, nil
}

// open reads the files, signs what is to be signed, and connects.
func (c Config) open(ctx context.Context, a address, now func() time.Time) (*link, error) {
	tlsConfig, err := c.tlsConfig(a, now)
	if err != nil {
		return nil, err
	}
	address := "wss" + strings.TrimPrefix(a.url(), "https")
	if a.signed(c) {
		signing, cancel := context.WithTimeout(ctx, connectTimeout)
		address, err = c.signed(signing, a, now())
		cancel()
		if err != nil {
			return nil, err
		}
	}
	return dial(ctx, a, tlsConfig, address)
}
