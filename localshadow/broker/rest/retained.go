package rest

import (
	"encoding/json"
	"sort"
	"strings"

	"edgeshadow/localshadow/access"
)

// Pages of ListRetainedMessages.
const maxResults = 200

// getRetained answers with the message of one topic; encoding/json makes base64
// of its bytes, as the API has it.
func (a *API) getRetained(c *call) ([]byte, error) {
	if !c.may(access.ActionGetRetainedMessage, c.name) {
		return nil, errForbidden
	}
	m, ok := a.Broker.Retained(c.name)
	if !ok {
		return nil, errRetained
	}
	answer := struct {
		Topic      string `json:"topic"`
		Payload    []byte `json:"payload"`
		QoS        byte   `json:"qos"`
		Modified   int64  `json:"lastModifiedTime"` // milliseconds
		Properties []byte `json:"userProperties,omitempty"`
	}{m.Topic, m.Payload, min(m.QoS, 1), m.Modified.UnixMilli(), nil}
	if len(m.UserProperties) > 0 {
		var err error
		if answer.Properties, err = encodeUserProperties(m.UserProperties); err != nil {
			return nil, err
		}
	}
	return json.Marshal(answer)
}

type summary struct {
	Topic    string `json:"topic"`
	Size     int    `json:"payloadSize"`
	QoS      byte   `json:"qos"`
	Modified int64  `json:"lastModifiedTime"` // milliseconds
}

func (a *API) listRetained(c *call) ([]byte, error) {
	if !c.may(access.ActionListRetainedMessages, "*") {
		return nil, errForbidden
	}
	p, err := c.page("maxResults", maxResults, maxResults)
	if err != nil {
		return nil, err
	}
	all := a.Broker.AllRetained()
	from := sort.Search(len(all), func(i int) bool { return strings.Compare(all[i].Topic, p.after) > 0 })
	if p.after == "" {
		from = 0
	}
	to := min(from+p.size, len(all))
	answer := struct {
		Topics    []summary `json:"retainedTopics"`
		NextToken string    `json:"nextToken,omitempty"`
	}{Topics: []summary{}}
	for _, m := range all[from:to] {
		answer.Topics = append(answer.Topics, summary{m.Topic, len(m.Payload), min(m.QoS, 1), m.Modified.UnixMilli()})
	}
	if to < len(all) {
		answer.NextToken = nextToken(all[to-1].Topic)
	}
	return json.Marshal(answer)
}
