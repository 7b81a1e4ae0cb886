package rest_test

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAPI_Publish(t *testing.T) {
	s := MustServe(t)
	c := s.mustSubscribe("sub", "#")
	for _, tt := range []struct {
		path, topic string
		qos         byte
	}{
		{"/topics/device%2Fmessage", "device/message", 0},
		{"/topics/device/message?qos=1", "device/message", 1},
		{"/topics/a//b?qos=1", "a//b", 1},
		{"/topics/%2Fa/..%2Fb", "/a/../b", 0},
		{"/topics/a%20b+c?qos=0", "", 0},
		{"/topics/%C3%BC", "ü", 0},
	} {
		if tt.topic == "" {
			if got := s.do("POST", tt.path, "x"); got.status != 400 {
				t.Errorf("%s: %d %s", tt.path, got.status, got.body)
			}
			continue
		}
		if got := s.mustDo("POST", tt.path, "hello"); !json.Valid([]byte(got)) {
			t.Errorf("answer %s", got)
		}
		m := s.next(c)
		if m.Topic() != tt.topic || string(m.Payload()) != "hello" || m.Qos() != tt.qos || m.Retained() {
			t.Errorf("%s: %q on %q with QoS %d", tt.path, m.Payload(), m.Topic(), m.Qos())
		}
	}
}

func TestAPI_PublishErrors(t *testing.T) {
	s := MustServe(t)
	s.denied["iot:Publish secret"], s.denied["iot:RetainPublish kept"] = true, true
	for _, tt := range []struct {
		path, body string
		header     []string
		status     int
	}{
		{"/topics/", "", nil, 404},
		{"/topics/a%23", "", nil, 400},
		{"/topics/a%00b", "", nil, 400},
		{"/topics/%ff", "", nil, 400},
		{"/topics/a?qos=2", "", nil, 400},
		{"/topics/a?qos=x", "", nil, 400},
		{"/topics/a?retain=perhaps", "", nil, 400},
		{"/topics/a?messageExpiry=-1", "", nil, 400},
		{"/topics/a?responseTopic=b%2F%23", "", nil, 400},
		{"/topics/$aws/things/lamp/shadow/update/accepted", "{}", nil, 403},
		{"/topics/$SYS/x", "", nil, 403},
		{"/topics/$aws/things/lamp/shadow/update?retain=true", "{}", nil, 403},
		{"/topics/secret", "", nil, 403},
		{"/topics/kept?retain=true", "", nil, 403},
		{"/topics/kept", "", nil, 200},
		{"/topics/a", strings.Repeat("x", 128<<10), nil, 200},
		{"/topics/a", strings.Repeat("x", 128<<10+1), nil, 413},
		{"/topics/a", "\xff", []string{"x-amz-mqtt5-payload-format-indicator", "UTF8_DATA"}, 400},
		{"/topics/a", "", []string{"x-amz-mqtt5-payload-format-indicator", "ROMAN"}, 400},
		{"/topics/a", "", []string{"x-amz-mqtt5-correlation-data", "*"}, 400},
		{"/topics/a", "", []string{"x-amz-mqtt5-user-properties", "*"}, 400},
		{"/topics/a", "", []string{"x-amz-mqtt5-user-properties", base64.StdEncoding.EncodeToString([]byte(`[{"a":1}]`))}, 400},
		{"/topics/a", "", []string{"x-amz-mqtt5-user-properties", base64.StdEncoding.EncodeToString([]byte(`{"a":"b"}`))}, 400},
	} {
		if got := s.do("POST", tt.path, tt.body, tt.header...); got.status != tt.status {
			t.Errorf("%s %v: %d %s, want %d", tt.path, tt.header, got.status, got.body, tt.status)
		}
	}
}

// On the topic of a shadow request it works as over MQTT: answers go to their
// topics, and the request counts when it is answered with 200.
func TestAPI_PublishShadowRequest(t *testing.T) {
	s := MustServe(t)
	c := s.mustSubscribe("sub", "$aws/things/lamp/shadow/#")
	got := s.mustDo("POST", "/topics/$aws%2Fthings%2Flamp%2Fshadow%2Fupdate?qos=1", `{"state":{"reported":{"a":1}},"clientToken":"t"}`)
	if strings.Contains(got, "state") {
		t.Errorf("the answer is a document: %s", got)
	}
	if got := s.mustDo("GET", lamp, ""); !strings.Contains(got, `"reported":{"a":1}`) {
		t.Errorf("document: %s", got)
	}
	var topics []string
	for range 3 {
		topics = append(topics, s.next(c).Topic())
	}
	const prefix = "$aws/things/lamp/shadow/update"
	if diff := cmp.Diff([]string{prefix, prefix + "/documents", prefix + "/accepted"}, topics); diff != "" {
		t.Errorf("messages (-want +got):\n%s", diff)
	}
	s.mustDo("POST", "/topics/$aws/things/lamp/shadow/update", `{"no":"state"}`) // refused over MQTT alone
	for m := s.next(c); m.Topic() != prefix+"/rejected"; m = s.next(c) {
	}
}

// What MQTT 5 adds comes in headers and query, and is kept with a retained message.
func TestAPI_Retained(t *testing.T) {
	s := MustServe(t)
	s.denied["iot:GetRetainedMessage secret"] = true
	properties := base64.StdEncoding.EncodeToString([]byte(`[{"a":"1"},{"b":"2"},{"a":"3"}]`))
	s.mustDo("POST", "/topics/r/1?retain=true&qos=1&contentType=text%2Fplain&responseTopic=back&messageExpiry=600", "hello",
		"x-amz-mqtt5-user-properties", properties, "x-amz-mqtt5-payload-format-indicator", "UTF8_DATA",
		"x-amz-mqtt5-correlation-data", base64.StdEncoding.EncodeToString([]byte{0, 1}))
	var got map[string]any
	if err := json.Unmarshal([]byte(s.mustDo("GET", "/retainedMessage/r%2F1", "")), &got); err != nil {
		t.Fatal(err)
	}
	if at, _ := got["lastModifiedTime"].(float64); at < 1e12 {
		t.Errorf("lastModifiedTime %v, want milliseconds", got["lastModifiedTime"])
	}
	delete(got, "lastModifiedTime")
	want := map[string]any{"topic": "r/1", "payload": base64.StdEncoding.EncodeToString([]byte("hello")), "qos": 1., "userProperties": properties}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("retained (-want +got):\n%s", diff)
	}
	if m := s.next(s.mustSubscribe("late", "r/1")); !m.Retained() || string(m.Payload()) != "hello" {
		t.Errorf("delivered: %v", m)
	}

	for _, topic := range []string{"r/2", "r/3", "r/4"} {
		s.mustDo("POST", "/topics/"+topic+"?retain=true", "x")
	}
	s.mustDo("POST", "/topics/r/3?retain=true", "") // takes it away
	var topics []string
	token := ""
	for {
		var page struct {
			RetainedTopics []struct {
				Topic       string
				PayloadSize int
			}
			NextToken string
		}
		if err := json.Unmarshal([]byte(s.mustDo("GET", "/retainedMessage?maxResults=2&nextToken="+token, "")), &page); err != nil {
			t.Fatal(err)
		}
		for _, m := range page.RetainedTopics {
			topics = append(topics, m.Topic)
		}
		if token = page.NextToken; token == "" {
			break
		}
	}
	if diff := cmp.Diff([]string{"r/1", "r/2", "r/4"}, topics); diff != "" {
		t.Errorf("topics (-want +got):\n%s", diff)
	}
	for path, status := range map[string]int{
		"/retainedMessage/none": 404, "/retainedMessage/$SYS/broker/version": 404, "/retainedMessage/secret": 403,
		"/retainedMessage?maxResults=201": 400,
	} {
		if got := s.do("GET", path, ""); got.status != status {
			t.Errorf("%s: %d %s, want %d", path, got.status, got.body, status)
		}
	}
}

func TestAPI_DeleteConnection(t *testing.T) {
	s := MustServe(t)
	s.denied["iot:DeleteConnection secret"] = true
	wills := s.mustSubscribe("wills", "will/#")
	for _, tt := range []struct {
		id, query string
		will      bool
		present   bool
	}{
		{"plain", "", true, false},
		{"keep/me", "", true, true},
		{"keep-not", "?cleanSession=true&preventWillMessage=true", false, false},
	} {
		s.mustSubscribe(tt.id, "x")
		id := strings.ReplaceAll(tt.id, "/", "%2F")
		s.mustDo("DELETE", "/connections/"+id+tt.query, "")
		if tt.will {
			if m := s.next(wills); m.Topic() != "will/"+tt.id {
				t.Errorf("%s: will on %s", tt.id, m.Topic())
			}
		}
		again := s.mustReconnect(tt.id)
		if again != tt.present {
			t.Errorf("%s: session present %v, want %v", tt.id, again, tt.present)
		}
		s.mustDo("POST", "/topics/will/mark", "")
		if m := s.next(wills); m.Topic() != "will/mark" {
			t.Errorf("%s: a message on %s", tt.id, m.Topic())
		}
	}
	for id, status := range map[string]int{"nobody": 404, "secret": 403, "plain?cleanSession=x": 400, "": 404} {
		if got := s.do("DELETE", "/connections/"+id, ""); got.status != status {
			t.Errorf("%s: %d %s, want %d", id, got.status, got.body, status)
		}
	}
}
