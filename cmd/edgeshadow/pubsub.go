package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"edgeshadow/cmd/pubsub"
)

// talk is one run of pub, sub or pubsub.
type talk struct {
	target *brokerFlags
	topics []string
	text   string
	qos    int
	retain bool
	count  int
	every  time.Duration
	async  bool

	client   *pubsub.Client
	received chan struct{} // for each message
	sent     sync.WaitGroup

	mu  sync.Mutex
	out io.Writer
}

func newTalk(c *cobra.Command, count int) *talk {
	t := &talk{target: addBrokerFlags(c), received: make(chan struct{}, 1<<16)}
	f := c.Flags()
	f.IntVarP(&t.qos, "qos", "q", 1, "quality of service: 0, 1, 2")
	f.IntVarP(&t.count, "count", "n", count, "how many messages; 0: until it is interrupted")
	f.BoolVar(&t.async, "async", false, "show acknowledgements (SUBACK, PUBACK) beside messages, each when it comes")
	return t
}

func (t *talk) addMessageFlags(c *cobra.Command) {
	c.Flags().BoolVarP(&t.retain, "retain", "r", false, "the broker keeps the last one")
	c.Flags().DurationVar(&t.every, "every", time.Second, "time between messages")
}

func pubCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "pub --topic TOPIC [--message TEXT]",
		Short: "Publish a message, or standard input, to this gateway, another broker or the cloud",
		Args:  cobra.NoArgs,
	}
	t := newTalk(c, 1)
	t.addMessageFlags(c)
	topic := c.Flags().StringP("topic", "t", "", "topic")
	c.Flags().StringVarP(&t.text, "message", "m", "", "payload; default: standard input")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if !c.Flags().Changed("topic") {
			return errNoTopic(c)
		}
		if err := plain(c, *topic); err != nil {
			return err
		}
		payload := []byte(t.text)
		if !c.Flags().Changed("message") {
			var err error
			if payload, err = io.ReadAll(c.InOrStdin()); err != nil {
				return fmt.Errorf("read the message: %w", err)
			}
		}
		return t.run(c, func(ctx context.Context) error {
			return t.publish(ctx, *topic, func(int) []byte { return payload })
		})
	}
	return c
}

func subCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "sub --topic FILTER…",
		Short: "Print the messages of one or more topics",
		Args:  cobra.NoArgs,
	}
	t := newTalk(c, 0)
	c.Flags().StringArrayVarP(&t.topics, "topic", "t", nil, "topic filter; may be given several times")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if len(t.topics) == 0 {
			return errNoTopic(c)
		}
		return t.run(c, func(ctx context.Context) error {
			if err := t.subscribe(ctx); err != nil {
				return err
			}
			return t.listen(ctx, 0)
		})
	}
	return c
}

func pubsubCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "pubsub [--mode both|publish|subscribe] --topic TOPIC --message TEXT",
		Short: `Publish {"message":TEXT,"sequence":N} every second and print what arrives, as the samples of the AWS SDKs do`,
		Args:  cobra.NoArgs,
	}
	t := newTalk(c, 10)
	t.addMessageFlags(c)
	mode := c.Flags().String("mode", "both", "both, publish or subscribe")
	c.Flags().StringArrayVarP(&t.topics, "topic", "t", []string{"test/topic"}, "topic")
	c.Flags().StringVarP(&t.text, "message", "m", "Hello World!", "text of the messages")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if len(t.topics) != 1 {
			return usageError{errors.New("pubsub has one topic"), c.CommandPath()}
		}
		subscribes, publishes := *mode != "publish", *mode != "subscribe"
		if subscribes && publishes && *mode != "both" {
			return usageError{fmt.Errorf("mode %q; want both, publish or subscribe", *mode), c.CommandPath()}
		}
		if publishes {
			if err := plain(c, t.topics[0]); err != nil {
				return err
			}
		}
		return t.run(c, func(ctx context.Context) error {
			if subscribes {
				if err := t.subscribe(ctx); err != nil {
					return err
				}
			}
			if publishes {
				if err := t.publish(ctx, t.topics[0], t.numbered); err != nil {
					return err
				}
			}
			switch {
			case !subscribes:
				return nil
			case publishes:
				return t.listen(ctx, echoTimeout)
			}
			return t.listen(ctx, 0)
		})
	}
	return c
}

func errNoTopic(c *cobra.Command) error {
	return usageError{errors.New("--topic is missing"), c.CommandPath()}
}

// plain refuses what a broker would end the connection for.
func plain(c *cobra.Command, topic string) error {
	if topic == "" || strings.ContainsAny(topic, "+#") {
		return usageError{fmt.Errorf("%q is no topic of a message", topic), c.CommandPath()}
	}
	return nil
}

// echoTimeout is how long pubsub waits for the rest of what it sent itself.
const echoTimeout = 10 * time.Second

// numbered is a message as the samples send it.
func (t *talk) numbered(n int) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(struct { // it can't fail
		Message  string `json:"message"`
		Sequence int    `json:"sequence"`
	}{t.text, n})
	return bytes.TrimSpace(b.Bytes())
}

// run connects, does the work and says goodbye. An interrupt is a good end.
func (t *talk) run(c *cobra.Command, work func(context.Context) error) error {
	if t.qos < 0 || t.qos > 2 || t.count < 0 || t.every < 0 {
		return usageError{errors.New("want --qos 0, 1 or 2, and no negative --count or --every"), c.CommandPath()}
	}
	t.out = c.OutOrStdout()
	var err error
	if t.client, err = t.target.dial(c, t.message); err != nil {
		return err
	}
	defer t.client.Close()
	t.acknowledged("connected to %s", t.client.URL())
	ctx, cancel := context.WithCancelCause(c.Context())
	defer cancel(nil)
	go func() {
		select {
		case err := <-t.client.Lost():
			cancel(err)
		case <-ctx.Done():
		}
	}()
	err = work(ctx)
	t.sent.Wait()
	lost := context.Cause(ctx)
	if !errors.Is(lost, pubsub.ErrLost) {
		lost = err
	}
	if errors.Is(lost, pubsub.ErrLost) {
		return hintedError{lost, "the log of the broker says why (journalctl -u edgeshadow); edgeshadow access denied tells what a policy refused"}
	}
	if c.Context().Err() != nil {
		return nil
	}
	return err
}

func (t *talk) print(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	fmt.Fprintf(t.out, format+"\n", args...)
}

// acknowledged is for what --async shows.
func (t *talk) acknowledged(format string, args ...any) {
	if t.async {
		t.print(format, args...)
	}
}

func (t *talk) message(m pubsub.Message) {
	kept := ""
	if m.Retained {
		kept = " (retained)"
	}
	t.print("%s%s %s", m.Topic, kept, m.Payload)
	select {
	case t.received <- struct{}{}:
	default: // nobody counts any more
	}
}

func (t *talk) subscribe(ctx context.Context) error {
	for _, filter := range t.topics {
		granted, err := t.client.Subscribe(ctx, filter, byte(t.qos))
		if err != nil {
			return err
		}
		t.acknowledged("SUBACK %s, QoS %d", filter, granted)
	}
	return nil
}

// listen returns after count messages; with patience, when no more come for so long.
func (t *talk) listen(ctx context.Context, patience time.Duration) error {
	var late <-chan time.Time
	if patience > 0 {
		timer := time.NewTimer(patience)
		defer timer.Stop()
		late = timer.C
	}
	for n := 0; t.count == 0 || n < t.count; n++ {
		select {
		case <-t.received:
		case <-ctx.Done():
			return ctx.Err()
		case <-late:
			return fmt.Errorf("%d of %d messages came back in %v", n, t.count, patience)
		}
	}
	return nil
}

// publish sends count messages. Each waits for the acknowledgement of the one
// before, with --async none does.
func (t *talk) publish(ctx context.Context, topic string, payload func(n int) []byte) error {
	tick := time.NewTicker(max(t.every, 1))
	defer tick.Stop()
	var first error
	var once sync.Once
	for n := 1; t.count == 0 || n <= t.count; n++ {
		send := func() error { return t.client.Publish(ctx, topic, payload(n), byte(t.qos), t.retain) }
		if !t.async {
			if err := send(); err != nil {
				return err
			}
		} else {
			t.acknowledged("PUBLISH %d", n)
			t.sent.Go(func() {
				if err := send(); err != nil {
					once.Do(func() { first = err })
				} else if t.qos > 0 {
					t.acknowledged("PUBACK %d", n)
				}
			})
		}
		if n == t.count {
			break
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	t.sent.Wait()
	return first
}
