package doctor

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"

	"edgeshadow/bridge"
	"edgeshadow/config"
)

// maxPolicy is what AWS IoT takes of a policy document, in characters.
const maxPolicy = 2048

// maxSubscriptions is what AWS IoT takes on one connection.
const maxSubscriptions = 50

// Policy is a policy document of AWS IoT.
type Policy struct {
	Version   string
	Statement []Statement
}

// Statement is one statement of it.
type Statement struct {
	Effect   string
	Action   []string
	Resource []string
}

// Needs is the policy alone, without an examination.
func (d *Doctor) Needs(ctx context.Context) (*Policy, error) {
	cfg, err := config.Load(d.Path)
	if err != nil {
		return nil, err
	}
	if cfg.Cloud == nil {
		return nil, errors.New("the configuration has no section cloud, and needs no policy")
	}
	d.cfg = cfg
	d.daemon(ctx)
	return d.policy(), nil
}

// policy is the least that the configuration needs: to connect as the gateway,
// to hear the answers for its things, and to ask. Where it would not fit into a
// document, the things are united.
func (d *Doctor) policy() *Policy {
	things := map[string]bool{d.cfg.Gateway.Thing: true}
	for name := range d.cfg.Things {
		things[name] = true
	}
	if d.status != nil {
		for _, t := range d.status.Things {
			things[t.Name] = true
		}
	}
	p := d.policyFor(slices.Sorted(maps.Keys(things)))
	if text, err := json.Marshal(p); err != nil || len(text) > maxPolicy {
		return d.policyFor([]string{"*"})
	}
	return p
}

func (d *Doctor) policyFor(things []string) *Policy {
	arn := "arn:aws:iot:" + d.region() + ":ACCOUNT:"
	allow := func(action string, resources ...string) Statement {
		return Statement{"Allow", []string{action}, resources}
	}
	var filters, receive, publish []string
	for _, f := range shorten(bridge.Filters()) {
		filters = append(filters, arn+"topicfilter/"+f)
	}
	for _, t := range things {
		shadows := arn + "topic/$aws/things/" + t + "/shadow/"
		receive = append(receive, shadows+"*")
		publish = append(publish, shadows+"*")
	}
	var retain []string
	for _, n := range d.cfg.Relay.Needs(d.cfg.Journal) {
		switch n.Action {
		case "iot:Subscribe":
			filters = append(filters, arn+"topicfilter/"+n.Topic)
		case "iot:Receive":
			receive = append(receive, arn+"topic/"+n.Topic)
		case "iot:Publish":
			publish = append(publish, arn+"topic/"+n.Topic)
		case "iot:RetainPublish":
			retain = append(retain, arn+"topic/"+n.Topic)
		}
	}
	clients := []string{arn + "client/" + d.cfg.Gateway.Thing}
	if len(d.filters()) > maxSubscriptions {
		clients = append(clients, clients[0]+"-*") // further connections have names of their own
	}
	p := &Policy{"2012-10-17", []Statement{
		allow("iot:Connect", clients...),
		allow("iot:Subscribe", filters...),
		allow("iot:Receive", receive...),
		allow("iot:Publish", publish...),
	}}
	if len(retain) > 0 {
		p.Statement = append(p.Statement, allow("iot:RetainPublish", retain...))
	}
	return p
}

// shorten unites the filters of answers: accepted and rejected of one request.
func shorten(filters []string) []string {
	var out []string
	for _, f := range filters {
		f = strings.TrimSuffix(strings.TrimSuffix(f, "/accepted"), "/rejected")
		if f += "/*"; !slices.Contains(out, f) {
			out = append(out, f)
		}
	}
	return out
}

// region is the one in the endpoint's name.
func (d *Doctor) region() string {
	endpoint, _, err := d.cfg.Cloud.Addresses()
	if err != nil {
		return "REGION"
	}
	labels := strings.Split(endpoint, ".")
	for i, label := range labels {
		if label == "iot" && i+1 < len(labels) {
			return labels[i+1]
		}
	}
	return "REGION"
}
