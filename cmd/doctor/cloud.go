package doctor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"edgeshadow/bridge"
	"edgeshadow/bridge/upstream"
)

const (
	lookupTimeout = 10 * time.Second
	tryTimeout    = 10 * time.Second // of a permission
)

// cloud goes the way to the cloud step by step, and stops where it ends.
func (d *Doctor) cloud(ctx context.Context) {
	endpoint, other, err := d.cfg.Cloud.Addresses()
	if err != nil {
		d.say("endpoint", Fail, err.Error(), "")
		return
	}
	if !d.resolves(ctx, endpoint) {
		return
	}
	d.reaches(ctx, endpoint, Fail)
	if other != "" {
		d.reaches(ctx, other, Warn)
	}
	if s := d.status; s != nil && s.Uplink != nil && s.Uplink.State == upstream.Up && !d.Interrupt {
		d.say("uplink", OK, fmt.Sprintf("the daemon is connected since %s, %d messages acknowledged: TLS, CONNECT and subscriptions are well",
			s.Uplink.Since.Local().Format(time.DateTime), s.Uplink.MessagesOut), "--interrupt tries each permission, and interrupts the uplink for some seconds")
		return
	}
	p, ok := d.connects(ctx)
	if !ok {
		return
	}
	p = d.subscriptions(ctx, p)
	p = d.requests(ctx, p)
	if p != nil {
		p.Close()
	}
	for _, n := range d.cfg.Relay.Needs(d.cfg.Journal) {
		if n.Action == "iot:Publish" || n.Action == "iot:RetainPublish" {
			d.say("publish "+n.Topic, Skip, "not tried: whoever subscribes to it would take it for a message", "allow "+n.Action+" on topic/"+n.Topic)
		}
	}
}

func (d *Doctor) resolves(ctx context.Context, endpoint string) bool {
	host, _, err := net.SplitHostPort(endpoint)
	if err != nil || net.ParseIP(host) != nil {
		return err == nil
	}
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	addresses, err := net.DefaultResolver.LookupHost(ctx, host)
	if err != nil {
		d.say("dns", Fail, err.Error(), "is there a network, and a DNS server? resolvectl status; is the name in cloud.endpoint right?")
		return false
	}
	d.say("dns", OK, fmt.Sprintf("%s is %s", host, addresses[0]), "")
	return true
}

// reaches tries a port; otherwise is what it is when it can't be reached.
func (d *Doctor) reaches(ctx context.Context, address string, otherwise Result) {
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	_, port, _ := net.SplitHostPort(address)
	c, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		d.say("port "+port, otherwise, err.Error(), "does a firewall stop outgoing port "+port+"? AWS IoT takes MQTT on 8883 and 443: one is enough")
		return
	}
	_ = c.Close()
	d.say("port "+port, OK, "reached "+c.RemoteAddr().String(), "")
}

// connects goes through TLS and CONNECT.
func (d *Doctor) connects(ctx context.Context) (*upstream.Probe, bool) {
	secure := !strings.HasPrefix(d.cfg.Cloud.Endpoint, "mqtt://")
	p, err := upstream.Dial(ctx, d.cfg.Cloud.Config, d.cfg.Gateway.Thing)
	if err != nil {
		why, hint := upstream.Explain(err)
		switch upstream.Stage(err) {
		case upstream.StageFiles:
			d.say("certificate", Fail, why, hint)
		case upstream.StageTCP:
			d.say("connect", Fail, why, hint)
		case upstream.StageTLS:
			d.say("tls", Fail, why, hint)
		default:
			if secure {
				d.say("tls", OK, "the certificates of both sides hold", "")
			}
			d.say("connack", Fail, why, hint)
		}
		return nil, false
	}
	if secure {
		d.say("tls", OK, "the certificates of both sides hold", "")
	}
	d.say("connack", OK, "accepted as client "+d.cfg.Gateway.Thing, "")
	return p, true
}

// again connects when the other side closed the connection.
func (d *Doctor) again(ctx context.Context, p *upstream.Probe) *upstream.Probe {
	if p != nil {
		return p
	}
	p, err := upstream.Dial(ctx, d.cfg.Cloud.Config, d.cfg.Gateway.Thing)
	if err != nil {
		why, hint := upstream.Explain(err)
		d.say("connack", Fail, "not once more: "+why, hint)
		return nil
	}
	return p
}

// filters are all subscriptions of the configuration.
func (d *Doctor) filters() []string {
	return append(bridge.Filters(), d.cfg.Relay.Filters(d.cfg.Journal)...)
}

// subscriptions tries each filter. It returns the connection, nil when it is lost.
func (d *Doctor) subscriptions(ctx context.Context, p *upstream.Probe) *upstream.Probe {
	for _, filter := range d.filters() {
		if p = d.again(ctx, p); p == nil {
			return nil
		}
		name := "subscribe " + filter
		limited, cancel := context.WithTimeout(ctx, tryTimeout)
		err := p.Subscribe(limited, filter)
		cancel()
		var refused *upstream.RefusedError
		switch {
		case err == nil:
			d.say(name, OK, "granted", "")
		case errors.As(err, &refused):
			d.say(name, Fail, "refused", "allow iot:Subscribe on topicfilter/"+filter)
		default:
			d.say(name, Fail, "the connection ended: "+err.Error(), "allow iot:Subscribe on topicfilter/"+filter)
			p.Close()
			p = nil
		}
	}
	return p
}

// requests tries each kind of request in a way that changes nothing: a get, an
// update without content, which is rejected, and the deletion of a shadow that
// nobody has.
func (d *Doctor) requests(ctx context.Context, p *upstream.Probe) *upstream.Probe {
	prefix := "$aws/things/" + d.cfg.Gateway.Thing + "/shadow/"
	for _, r := range []struct{ topic, payload string }{
		{prefix + "get", "{}"},
		{prefix + "update", "{}"},
		{prefix + "name/edgeshadow-doctor/get", "{}"},
		{prefix + "name/edgeshadow-doctor/update", "{}"},
		{prefix + "name/edgeshadow-doctor/delete", "{}"},
	} {
		if p = d.again(ctx, p); p == nil {
			return nil
		}
		if !d.request(ctx, p, r.topic, r.payload) {
			p.Close()
			p = nil
		}
	}
	return p
}

// request tries one request; false: the connection is lost.
func (d *Doctor) request(ctx context.Context, p *upstream.Probe, topic, payload string) bool {
	name := "publish " + topic
	ctx, cancel := context.WithTimeout(ctx, tryTimeout)
	defer cancel()
	answers := []string{topic + "/accepted", topic + "/rejected"}
	for _, a := range answers { // of this thing alone, should the general filters be refused
		var refused *upstream.RefusedError
		if err := p.Subscribe(ctx, a); err != nil && !errors.As(err, &refused) {
			d.say(name, Fail, "the connection ended: "+err.Error(), "allow iot:Subscribe on topicfilter/"+a)
			return false
		}
	}
	if err := p.Publish(ctx, topic, []byte(payload)); err != nil {
		d.say(name, Fail, "the other side closed the connection", "allow iot:Publish on topic/"+topic)
		return false
	}
	if _, err := p.Await(ctx, answers...); err != nil {
		d.say(name, Fail, "taken, but no answer is heard", "allow iot:Receive on topic/"+topic+"/*")
		return errors.Is(err, context.DeadlineExceeded)
	}
	d.say(name, OK, "answered", "")
	return true
}
