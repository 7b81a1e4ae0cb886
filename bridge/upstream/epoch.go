package upstream

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
)

const (
	subackTimeout = 10 * time.Second
	pubackTimeout = 60 * time.Second // a broker that answers pings and no publish is none
	maxUnacked    = 96               // publishes; AWS allows 100 (SHADOW 27)
	maxQueued     = 64               // messages received and not yet handed over; TCP holds back the rest
	maxAcks       = 4096             // acknowledgements not yet written
	maxFilters    = 8                // in a SUBSCRIBE (SHADOW 27)
	goodbye       = 250              // milliseconds to write a DISCONNECT
)

// epoch is the life of one connection.
type epoch struct {
	client   mqtt.Client
	link     *link
	handler  Handler
	aside    func(m Message, ack func()) bool
	traffic  *traffic
	wg       *sync.WaitGroup // the client's
	kept     bool            // the broker had the session
	handed   int64           // messages; of the goroutine of Run
	messages chan mqtt.Message
	acks     chan mqtt.Message
	sends    *queue
	sent     chan *send    // and not acknowledged
	window   chan struct{} // a slot for each unacknowledged publish
	pace     *pace

	lost chan struct{} // closed when the connection is gone
	once sync.Once
	err  error // why; set before lost is closed
}

// end is the end of the epoch, for the first reason given.
func (e *epoch) end(err error) {
	e.once.Do(func() {
		e.err = err
		close(e.lost)
		_ = e.link.tcp.Close()
	})
}

// connect returns after a good CONNACK.
func (c *Client) connect(ctx context.Context, cfg Config) (*epoch, error) {
	a, err := cfg.address()
	if err != nil {
		return nil, err
	}
	link, err := cfg.open(ctx, a, c.now)
	if err != nil {
		return nil, err
	}
	e := &epoch{
		link: link, handler: c.Handler, aside: c.Aside, traffic: &c.traffic, wg: &c.wg,
		messages: make(chan mqtt.Message, maxQueued),
		acks:     make(chan mqtt.Message, maxAcks),
		sends:    newQueue(),
		sent:     make(chan *send, maxUnacked),
		window:   make(chan struct{}, maxUnacked),
		pace:     newPace(cfg.Rate()),
		lost:     make(chan struct{}),
	}
	keepAlive := c.KeepAlive
	if keepAlive == 0 {
		keepAlive = DefaultKeepAlive
	}
	link.traffic, link.silence, link.ended = &c.traffic, keepAlive+keepAlive/2, e.end
	e.client = mqtt.NewClient(e.options(link, c.ClientID, keepAlive))
	stop := context.AfterFunc(ctx, func() { e.end(ctx.Err()) })
	defer stop()
	token := e.client.Connect().(*mqtt.ConnectToken)
	<-token.Done() // bounded by the deadlines of the link
	select {
	case <-e.lost:
		e.close()
		return nil, &linkError{greeting, a, e.err}
	default:
	}
	if err := token.Error(); err != nil {
		e.close()
		return nil, &linkError{greeting, a, err}
	}
	e.kept = token.SessionPresent()
	e.wg.Go(e.sendLoop)
	e.wg.Go(e.outcomeLoop)
	e.wg.Go(e.ackLoop)
	return e, nil
}

// options are the recipe for a paho client that lives for one connection: it
// repeats nothing, and hands every message over, those before a SUBACK too.
func (e *epoch) options(l *link, clientID string, keepAlive time.Duration) *mqtt.ClientOptions {
	return mqtt.NewClientOptions().
		AddBroker("tcp://link"). // for the name only
		SetCustomOpenConnectionFn(l.open).
		SetClientID(clientID).
		SetProtocolVersion(4). // else each refusal is asked once more, with 3.1
		SetCleanSession(false).
		SetAutoReconnect(false).
		SetConnectRetry(false).
		SetOrderMatters(true).
		SetStore(mqtt.NewOrderedMemoryStore()).
		SetAutoAckDisabled(true).
		SetKeepAlive(keepAlive).
		SetPingTimeout(2 * l.silence). // never: the link is asked first
		SetWriteTimeout(writeTimeout).
		SetConnectTimeout(connectTimeout).
		SetDefaultPublishHandler(func(_ mqtt.Client, m mqtt.Message) {
			select {
			case e.messages <- m:
			case <-e.lost:
			}
		}).
		SetConnectionLostHandler(func(_ mqtt.Client, err error) { e.end(err) })
}

// subscribe asks for every filter, a batch at a time, and checks each code.
func (e *epoch) subscribe(ctx context.Context, filters []string) error {
	var refused []string
	for batch := range slices.Chunk(filters, maxFilters) {
		qos := make(map[string]byte, len(batch))
		for _, f := range batch {
			qos[f] = 1
		}
		e.link.frames.asked.Store(int32(len(qos)))
		token := e.client.SubscribeMultiple(qos, nil).(*mqtt.SubscribeToken)
		if err := e.await(ctx, token); err != nil {
			return fmt.Errorf("subscribe: %w", err)
		}
		for filter, code := range token.Result() {
			if code > 1 { // [MQTT-3.9.3-2]
				refused = append(refused, filter)
			}
		}
	}
	if len(refused) > 0 {
		slices.Sort(refused)
		return &RefusedError{Filters: refused}
	}
	return nil
}

// await waits for a SUBACK. Messages are handed over meanwhile: it stands
// behind them in the stream.
func (e *epoch) await(ctx context.Context, token mqtt.Token) error {
	timer := time.NewTimer(subackTimeout)
	defer timer.Stop()
	for {
		select {
		case m := <-e.messages:
			e.hand(m)
		case <-e.lost:
			return e.err
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
			return fmt.Errorf("no answer in %v", subackTimeout)
		case <-token.Done():
			if err := token.Error(); err != nil {
				return err
			}
			return e.catchUp(ctx)
		}
	}
}

// catchUp hands over what stood before the SUBACK and is still on its way
// through paho.
func (e *epoch) catchUp(ctx context.Context) error {
	for e.handed < e.link.frames.ahead.Load() {
		select {
		case m := <-e.messages:
			e.hand(m)
		case <-e.lost:
			return e.err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// deliver hands messages over until the connection is lost, whose cause it
// returns, or ctx ends. Steady is called when it has lasted for a stable while.
func (e *epoch) deliver(ctx context.Context, stable time.Duration, steady func(), swapped <-chan struct{}) error {
	timer := time.NewTimer(stable)
	defer timer.Stop()
	for {
		select {
		case m := <-e.messages:
			e.hand(m)
		case <-timer.C:
			steady()
		case <-swapped:
			return errSwapped
		case <-ctx.Done():
			return ctx.Err()
		case <-e.lost:
			// What came before the loss is as good as ever; the broker repeats
			// it, for its acknowledgement has no way any more.
			e.drain()
			return e.err
		}
	}
}

func (e *epoch) drain() {
	for {
		select {
		case m := <-e.messages:
			e.hand(m)
		default:
			return
		}
	}
}

// hand gives a message to the handler.
func (e *epoch) hand(m mqtt.Message) {
	e.handed++
	e.traffic.messagesIn.Add(1)
	ack := func() {
		select {
		case e.acks <- m:
		case <-e.lost: // an acknowledgement of another epoch means nothing
		default:
			e.end(errors.New("acknowledgements are not taken"))
		}
	}
	if e.aside != nil && e.aside(Message{m.Topic(), m.Payload(), m.Qos(), m.Retained()}, ack) {
		return
	}
	e.handler.Message(m.Topic(), m.Payload(), ack)
}

// ackLoop writes acknowledgements, so that who gives one never waits for the link.
func (e *epoch) ackLoop() {
	for {
		select {
		case m := <-e.acks:
			m.Ack()
		case <-e.lost:
			return
		}
	}
}

// close leaves in order when the connection is alive; the session stays.
func (e *epoch) close() {
	e.client.Disconnect(goodbye)
	e.end(ErrDown)
}
