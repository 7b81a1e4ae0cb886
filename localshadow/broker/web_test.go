package broker_test

import (
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"edgeshadow/localshadow/broker"
)

// A peer that dribbles holds its place for a bounded time, whatever it dribbles.
func TestWeb_Dribble(t *testing.T) {
	for _, tt := range []struct {
		name, start string
		most        time.Duration
	}{
		{"header", "POST / HTTP/1.1\r\nHost: x\r\nX: ", broker.HeaderTimeout},
		{"body", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n", broker.BodyTimeout},
		{"second header", "GET / HTTP/1.1\r\nHost: x\r\n\r\nPOST / HTTP/1.1\r\nX: ", broker.IdleTimeout + broker.HeaderTimeout},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := broker.New(broker.Config{}, newHeld(), nil, nil)
				b.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if _, err := io.Copy(io.Discard, r.Body); err != nil {
						w.WriteHeader(http.StatusBadRequest)
					}
				})
				stop := b.RunWeb()
				peer, ours := net.Pipe()
				b.TakeWeb(ours)
				closed := make(chan time.Time, 1)
				go func() {
					_, _ = io.Copy(io.Discard, peer)
					closed <- time.Now()
				}()
				began := time.Now()
				_, err := io.WriteString(peer, tt.start)
				for err == nil && time.Since(began) < time.Hour {
					time.Sleep(time.Second)
					_, err = io.WriteString(peer, "x")
				}
				if err == nil {
					t.Fatal("it dribbles on")
				}
				if took := (<-closed).Sub(began); took > tt.most+time.Second {
					t.Errorf("closed after %v, want %v at most", took, tt.most)
				}
				if err := stop(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// A flood of requests on one connection is refused, as one of packets is.
func TestWeb_Flood(t *testing.T) {
	b := mustRun(t, broker.Config{
		Listeners: []broker.Listener{{Address: "127.0.0.1:0", Protocol: broker.HTTP}},
		Limits:    broker.Limits{Rate: 1},
	}, newHeld(), nil, func(b *broker.Broker) {
		b.Handler = http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	})
	c, err := net.Dial("tcp", b.Addrs()[0].String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	go func() {
		for err := error(nil); err == nil; {
			_, err = io.WriteString(c, strings.Repeat("GET / HTTP/1.1\r\nHost: x\r\n\r\n", 20))
		}
	}()
	answers, err := io.ReadAll(c)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Logf("the end: %v", err) // a reset, when more was sent than read
	}
	if !strings.Contains(string(answers), "HTTP/1.1 200") || !strings.Contains(string(answers), "ThrottlingException") {
		t.Errorf("answers: %.200q", answers)
	}
}
