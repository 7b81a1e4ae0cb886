package broker

import (
	"context"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
)

// sysEvery is how often the statistics are published.
const sysEvery = time.Minute

// runSys publishes the statistics that LAN tools expect of a broker.
func (b *Broker) runSys(ctx context.Context) {
	tick := time.NewTicker(sysEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			for _, m := range b.sys("$SYS/#") {
				b.fan(m, nil)
			}
		}
	}
}

// sys are the statistics that a filter asks for. They are as good as retained.
func (b *Broker) sys(filter string) []*message {
	if !strings.HasPrefix(filter, "$SYS") {
		return nil
	}
	st := b.Stats()
	var out []*message
	for topic, value := range map[string]string{
		"version":              mqtt.Version,
		"uptime":               strconv.FormatInt(int64(time.Since(b.began)/time.Second), 10),
		"clients/connected":    strconv.FormatInt(st.Clients, 10),
		"clients/disconnected": strconv.FormatInt(st.Sessions-st.Clients, 10),
		"clients/total":        strconv.FormatInt(st.Sessions, 10),
		"load/bytes/received":  strconv.FormatInt(st.BytesReceived, 10),
		"load/bytes/sent":      strconv.FormatInt(st.BytesSent, 10),
		"messages/received":    strconv.FormatInt(st.Received, 10),
		"messages/sent":        strconv.FormatInt(st.Sent, 10),
		"messages/dropped":     strconv.FormatInt(st.Dropped, 10),
		"packets/received":     strconv.FormatInt(atomic.LoadInt64(&b.server.Info.PacketsReceived), 10),
		"retained":             strconv.FormatInt(st.Retained, 10),
		"subscriptions":        strconv.FormatInt(st.Subscriptions, 10),
	} {
		if m := (&message{topic: "$SYS/broker/" + topic, payload: []byte(value)}); matches(filter, m.topic) {
			out = append(out, m)
		}
	}
	return out
}
