package broker_test

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"edgeshadow/localshadow/broker"
)

// pipe is a wrapped connection and its peer, with nothing between that buffers.
func pipe() (c broker.Conn, peer net.Conn, slow *bool) {
	inner, peer := net.Pipe()
	slow = new(bool)
	return broker.NewConn(inner, func() { *slow = true }), peer, slow
}

func TestConn_ConnectTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, peer, _ := pipe()
		began := time.Now()
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("read: %v", err)
		}
		if got := time.Since(began); got != broker.ConnectTimeout {
			t.Errorf("after %v, want %v", got, broker.ConnectTimeout)
		}
		_ = c.Close()
		c.Wait()
		_ = peer.Close()
	})
}

// A peer that reads nothing costs its buffer and no time; beyond the bound it
// is cut off at once.
func TestConn_Overflow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, peer, slow := pipe()
		began := time.Now()
		step := make([]byte, 64<<10)
		for range broker.MaxBuffered / len(step) {
			if _, err := c.Write(step); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := c.Write(step); err == nil || !*slow {
			t.Errorf("write beyond the bound: %v; slow: %v", err, *slow)
		}
		if _, err := c.Read(step); err == nil {
			t.Error("can still read")
		}
		c.Wait()
		if got := time.Since(began); got != 0 {
			t.Errorf("took %v", got)
		}
		if _, err := io.Copy(io.Discard, peer); err != nil {
			t.Errorf("peer: %v", err)
		}
		_ = c.Close()
		c.Wait()
	})
}

// One packet may be longer than the buffer: the bound is for what piles up.
func TestConn_LongPacket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, peer, _ := pipe()
		if _, err := c.Write(make([]byte, 2*broker.MaxBuffered)); err != nil {
			t.Fatal(err)
		}
		_ = c.Close()
		if n, err := io.Copy(io.Discard, peer); n != 2*broker.MaxBuffered || err != nil {
			t.Errorf("%d bytes, %v", n, err)
		}
		c.Wait()
	})
}

func TestConn_WriteTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, peer, slow := pipe()
		began := time.Now()
		if _, err := c.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		c.Wait()
		if got := time.Since(began); got != broker.WriteTimeout || *slow {
			t.Errorf("closed after %v, want %v; slow %v", got, broker.WriteTimeout, *slow)
		}
		_ = peer.Close()
		_ = c.Close()
		c.Wait()
	})
}

// Close returns at once; what was written before still arrives, if the peer
// reads within the linger time.
func TestConn_Close(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, reads := range []bool{true, false} {
			c, peer, _ := pipe()
			_, _ = c.Write([]byte("last words"))
			began := time.Now()
			if err := errors.Join(c.Close(), c.Close()); err != nil || time.Since(began) != 0 {
				t.Errorf("close: %v after %v", err, time.Since(began))
			}
			if _, err := c.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
				t.Errorf("write after close: %v", err)
			}
			if reads {
				if got, err := io.ReadAll(peer); string(got) != "last words" || err != nil {
					t.Errorf("read %q, %v", got, err)
				}
			}
			c.Wait()
			if got := time.Since(began); !reads && got != broker.LingerTimeout {
				t.Errorf("closed after %v, want %v", got, broker.LingerTimeout)
			}
			_ = peer.Close()
		}
	})
}

// hijacked is an HTTP request that came on a connection.
type hijacked struct {
	http.ResponseWriter
	c net.Conn
}

func (h hijacked) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return h.c, bufio.NewReadWriter(bufio.NewReader(h.c), bufio.NewWriter(h.c)), nil
}

// A peer that takes nothing holds up Close for the linger time, whatever lies
// over the socket: TLS and WebSocket have goodbyes that would wait for it.
func TestConn_CloseStalled(t *testing.T) {
	certificate, err := MustOpenCA(t).ServerCertificate(&tls.ClientHelloInfo{})
	if err != nil {
		t.Fatal(err)
	}
	for _, layers := range []struct{ tls, web bool }{{}, {tls: true}, {web: true}, {true, true}} {
		t.Run(fmt.Sprintf("%+v", layers), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				inner, peer := net.Pipe()
				ours, theirs := inner, peer
				if layers.tls {
					ours = tls.Server(inner, &tls.Config{Certificates: []tls.Certificate{*certificate}, SessionTicketsDisabled: true})
					theirs = tls.Client(peer, &tls.Config{InsecureSkipVerify: true})
				}
				greeted := make(chan error)
				go func() {
					if _, err := theirs.Write([]byte("?")); err != nil || !layers.web {
						greeted <- err
						return
					}
					_, err := http.ReadResponse(bufio.NewReaderSize(theirs, 16), nil)
					greeted <- err
				}()
				if _, err := ours.Read(make([]byte, 1)); err != nil {
					t.Fatal(err)
				}
				c := broker.NewConn(ours, func() {})
				if layers.web {
					r := httptest.NewRequest(http.MethodGet, "/mqtt", nil)
					r.Header = http.Header{"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Version": {"13"},
						"Sec-Websocket-Key": {"AAAAAAAAAAAAAAAAAAAAAA=="}}
					if c, err = broker.NewWebSocketConn(hijacked{nil, ours}, r); err != nil {
						t.Fatal(err)
					}
				}
				if err := <-greeted; err != nil {
					t.Fatal(err)
				}
				_, _ = c.Write([]byte("last words"))
				synctest.Wait()
				began := time.Now()
				_ = c.Close()
				c.Wait()
				if got := time.Since(began); got != broker.LingerTimeout {
					t.Errorf("closed after %v, want %v", got, broker.LingerTimeout)
				}
				_ = peer.Close()
			})
		})
	}
}

// A burst waits for a peer that takes from it, however slowly, and a short
// time, once, for one that does not.
func TestConn_Pace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, peer, slow := pipe()
		const packets, size = 100, 64 << 10
		var reader sync.WaitGroup
		reader.Go(func() {
			for range packets {
				<-time.After(broker.Patience * 9 / 10)
				_, _ = io.CopyN(io.Discard, peer, size)
			}
		})
		for range packets {
			c.Pace()
			if _, err := c.Write(make([]byte, size)); err != nil || *slow {
				t.Fatal(err)
			}
		}
		reader.Wait()
		_ = c.Close()
		c.Wait()
		_ = peer.Close()
	})
	synctest.Test(t, func(t *testing.T) {
		c, peer, _ := pipe()
		_, _ = c.Write(make([]byte, broker.Paced+1))
		began := time.Now()
		c.Pace()
		c.Pace()
		if got := time.Since(began); got != broker.Patience {
			t.Errorf("waited %v, want %v", got, broker.Patience)
		}
		_ = c.Close()
		c.Pace()
		c.Wait()
		_ = peer.Close()
	})
}
