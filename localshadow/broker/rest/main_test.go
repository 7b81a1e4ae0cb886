package rest_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"edgeshadow/localshadow/access"
	"edgeshadow/localshadow/broker"
	"edgeshadow/localshadow/broker/rest"
	"edgeshadow/test/shadowtest"
)

const patience = 20 * time.Second

// site is a broker with an MQTT and an HTTP listener over a shadow service.
type site struct {
	tb     testing.TB
	broker *broker.Broker
	api    *rest.API
	denied map[string]bool // "action resource"
}

// MustServe runs one until the test ends.
func MustServe(tb testing.TB) *site {
	tb.Helper()
	service := shadowtest.MustOpenService(tb, nil)
	b := broker.New(broker.Config{Listeners: []broker.Listener{
		{Address: "127.0.0.1:0"}, {Address: "127.0.0.1:0", Protocol: broker.HTTP},
	}}, service, nil, shadowtest.Log(tb))
	s := &site{tb: tb, broker: b, denied: map[string]bool{}}
	s.api = &rest.API{Shadows: service, Broker: b, Log: shadowtest.Log(tb), Now: func() time.Time { return time.Unix(7, 0) }}
	b.Access, b.Handler, service.Publisher = s, s.api, b
	if err := b.Listen(); err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- b.Run(ctx) }()
	tb.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			tb.Error(err)
		}
	})
	return s
}

func (s *site) Authenticate(access.Credentials) (broker.Principal, error) { return s, nil }
func (s *site) Barred(_, _, _, _ string)                                  {}
func (s *site) Name() string                                              { return "tester" }
func (s *site) May(action, resource string) bool                          { return !s.denied[action+" "+resource] }
func (s *site) Refused(string, string)                                    {}

// answer is what a request got.
type answer struct {
	status int
	kind   string // x-amzn-ErrorType
	body   string
	header http.Header
}

// do sends a request; header has names and values in turns.
func (s *site) do(method, path, body string, header ...string) answer {
	s.tb.Helper()
	r, err := http.NewRequest(method, "http://"+s.broker.Addrs()[1].String()+path, strings.NewReader(body))
	if err != nil {
		s.tb.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	got, err := http.DefaultClient.Do(r)
	if err != nil {
		s.tb.Fatal(err)
	}
	defer func() { _ = got.Body.Close() }()
	data, err := io.ReadAll(got.Body)
	if err != nil {
		s.tb.Fatal(err)
	}
	if got.Header.Get("x-amzn-RequestId") == "" || got.Header.Get("content-type") != "application/json" {
		s.tb.Errorf("%s %s: headers %v", method, path, got.Header)
	}
	return answer{got.StatusCode, got.Header.Get("x-amzn-ErrorType"), string(data), got.Header}
}

// mustDo wants 200.
func (s *site) mustDo(method, path, body string, header ...string) string {
	s.tb.Helper()
	got := s.do(method, path, body, header...)
	if got.status != http.StatusOK || got.kind != "" {
		s.tb.Fatalf("%s %s: %d %s %s", method, path, got.status, got.kind, got.body)
	}
	return got.body
}

// subscriber is a client that keeps what it receives.
type subscriber struct {
	mqtt.Client
	messages chan mqtt.Message
}

func (s *site) mustSubscribe(id string, filters ...string) *subscriber {
	s.tb.Helper()
	c := &subscriber{messages: make(chan mqtt.Message, 1024)}
	o := mqtt.NewClientOptions().AddBroker("tcp://"+s.broker.Addrs()[0].String()).SetClientID(id).SetAutoReconnect(false).
		SetWill("will/"+id, "gone", 1, false).SetCleanSession(!strings.HasPrefix(id, "keep"))
	o.SetDefaultPublishHandler(func(_ mqtt.Client, m mqtt.Message) { c.messages <- m })
	c.Client = mqtt.NewClient(o)
	s.await(c.Connect())
	s.tb.Cleanup(func() { c.Disconnect(0) })
	for _, f := range filters {
		s.await(c.Subscribe(f, 1, nil))
	}
	return c
}

func (s *site) await(token mqtt.Token) {
	s.tb.Helper()
	if !token.WaitTimeout(patience) {
		s.tb.Fatal("no answer of the broker")
	}
	if err := token.Error(); err != nil {
		s.tb.Fatal(err)
	}
}

func (s *site) next(c *subscriber) mqtt.Message {
	s.tb.Helper()
	select {
	case m := <-c.messages:
		return m
	case <-time.After(patience):
		s.tb.Fatal("no message")
		return nil
	}
}

// mustReconnect connects a client and tells whether its session was there. It
// leaves in order.
func (s *site) mustReconnect(id string) (present bool) {
	s.tb.Helper()
	c := mqtt.NewClient(mqtt.NewClientOptions().AddBroker("tcp://" + s.broker.Addrs()[0].String()).SetClientID(id).
		SetAutoReconnect(false).SetCleanSession(!strings.HasPrefix(id, "keep")))
	token := c.Connect()
	s.await(token)
	present = token.(*mqtt.ConnectToken).SessionPresent()
	c.Disconnect(50)
	return present
}
