package rest_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const lamp = "/things/lamp/shadow"

var stamps = regexp.MustCompile(`"timestamp":\d+`)

func still(s string) string { return stamps.ReplaceAllString(s, `"timestamp":0`) }

// One service for all (P5): what REST changes, subscribers see, and what MQTT
// changes, REST reads.
func TestAPI_Shadow(t *testing.T) {
	s := MustServe(t)
	for _, tt := range []struct{ name, query, topic string }{
		{"classic", "", "$aws/things/lamp/shadow/"},
		{"named", "?name=$n:1", "$aws/things/lamp/shadow/name/$n:1/"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := s.mustSubscribe("sub-"+tt.name, tt.topic+"#")
			got := s.mustDo("POST", lamp+tt.query, `{"state":{"desired":{"on":true}},"clientToken":"t1"}`)
			want := `{"state":{"desired":{"on":true}},"metadata":{"desired":{"on":{"timestamp":0}}},"version":1,"timestamp":0,"clientToken":"t1"}`
			if diff := cmp.Diff(want, still(got)); diff != "" {
				t.Errorf("accepted (-want +got):\n%s", diff)
			}
			var topics []string
			for range 3 {
				m := s.next(c)
				topics = append(topics, strings.TrimPrefix(m.Topic(), tt.topic))
				if m.Topic() == tt.topic+"update/accepted" && string(m.Payload()) != got {
					t.Errorf("accepted over MQTT %s, over REST %s", m.Payload(), got)
				}
			}
			if diff := cmp.Diff([]string{"update/delta", "update/documents", "update/accepted"}, topics); diff != "" {
				t.Errorf("messages (-want +got):\n%s", diff)
			}

			s.await(c.Publish(tt.topic+"update", 1, false, `{"state":{"reported":{"on":true}}}`))
			got = s.mustDo("GET", lamp+tt.query, "")
			want = `{"state":{"desired":{"on":true},"reported":{"on":true}},"metadata":{"desired":{"on":{"timestamp":0}},"reported":{"on":{"timestamp":0}}},"version":2,"timestamp":0}`
			if diff := cmp.Diff(want, still(got)); diff != "" {
				t.Errorf("document (-want +got):\n%s", diff)
			}
			if got, want := still(s.mustDo("DELETE", lamp+tt.query, "")), `{"version":2,"timestamp":0}`; got != want {
				t.Errorf("deleted: %s, want %s", got, want)
			}
			for m := s.next(c); m.Topic() != tt.topic+"delete/accepted"; m = s.next(c) {
			}
		})
	}
}

// The table of SHADOW 12 and 14, each with its exception and its text.
func TestAPI_Errors(t *testing.T) {
	s := MustServe(t)
	s.denied["iot:GetThingShadow secret"], s.denied["iot:UpdateThingShadow lamp/n"] = true, true
	s.denied["iot:ListNamedShadowsForThing secret"] = true
	c := s.mustSubscribe("sub", "$aws/things/lamp/shadow/#")
	s.mustDo("POST", lamp, `{"state":{}}`)
	for m := s.next(c); m.Topic() != "$aws/things/lamp/shadow/update/accepted"; m = s.next(c) {
	}
	for _, tt := range []struct {
		method, path, body string
		header             []string
		status             int
		kind, answer       string
	}{
		{"GET", "/things/none/shadow", "", nil, 404, "ResourceNotFoundException", `{"code":404,"message":"No shadow exists with name: 'none'"}`},
		{"GET", "/things/none/shadow?name=n", "", nil, 404, "ResourceNotFoundException", `{"code":404,"message":"No shadow exists with name: 'none~n'"}`},
		{"DELETE", "/things/none/shadow", "", nil, 404, "ResourceNotFoundException", `{"code":404,"message":"No shadow exists with name: 'none'"}`},
		{"POST", lamp, `{"state":{},"version":7,"clientToken":"t"}`, nil, 409, "ConflictException", `{"code":409,"message":"Version conflict","clientToken":"t"}`},
		{"POST", lamp, `{`, nil, 400, "InvalidRequestException", `{"code":400,"message":"Payload contains invalid json"}`},
		{"POST", lamp, `{"x":1}`, nil, 400, "InvalidRequestException", `{"code":400,"message":"Missing required node: state"}`},
		{"POST", lamp, "{\"state\":{\"desired\":{\"a\":\"\xff\"}}}", nil, 415, "UnsupportedDocumentEncodingException", ""},
		{"POST", lamp, `{"state":{}}`, []string{"content-type", "application/json; charset=utf-16"}, 415, "UnsupportedDocumentEncodingException", ""},
		{"POST", lamp, `{"state":{}}`, []string{"content-encoding", "gzip"}, 415, "UnsupportedDocumentEncodingException", `{"code":415,"message":"Unsupported documented encoding; supported encoding is UTF-8"}`},
		{"POST", lamp, `{"state":{"desired":{"a":"` + strings.Repeat("x", 8192) + `"}}}`, nil, 413, "RequestEntityTooLargeException", ""},
		{"POST", lamp, strings.Repeat(" ", 200<<10), nil, 413, "RequestEntityTooLargeException", ""},
		{"PUT", lamp, "", nil, 405, "MethodNotAllowedException", `{"code":405,"message":"Method not allowed"}`},
		{"DELETE", "/topics/a", "", nil, 405, "MethodNotAllowedException", ""},
		{"GET", "/things/a%2Fb/shadow", "", nil, 400, "InvalidRequestException", ""},
		{"GET", "/things/a%20b/shadow", "", nil, 400, "InvalidRequestException", ""},
		{"GET", lamp + "?name=", "", nil, 400, "InvalidRequestException", ""},
		{"GET", lamp + "?name=a/b", "", nil, 400, "InvalidRequestException", ""},
		{"GET", lamp + "?name=%zz", "", nil, 400, "InvalidRequestException", `{"code":400,"message":"Invalid query"}`},
		{"GET", "/things/secret/shadow", "", nil, 403, "ForbiddenException", `{"code":403,"message":"Forbidden"}`},
		{"POST", lamp + "?name=n", `{"state":{}}`, nil, 403, "ForbiddenException", ""},
		{"GET", "/api/things/shadow/ListNamedShadowsForThing/secret", "", nil, 403, "ForbiddenException", ""},
		{"GET", "/", "", nil, 404, "ResourceNotFoundException", ""},
		{"GET", "/things/lamp/shadow/", "", nil, 404, "ResourceNotFoundException", ""},
	} {
		t.Run(tt.method+" "+tt.path+" "+tt.kind, func(t *testing.T) {
			got := s.do(tt.method, tt.path, tt.body, tt.header...)
			if got.status != tt.status || got.kind != tt.kind || tt.answer != "" && got.body != tt.answer {
				t.Errorf("%d %s %s, want %d %s %s", got.status, got.kind, got.body, tt.status, tt.kind, tt.answer)
			}
			var body struct {
				Code    int
				Message string
			}
			if err := json.Unmarshal([]byte(got.body), &body); err != nil || body.Code != tt.status || body.Message == "" {
				t.Errorf("%v: %s", err, got.body)
			}
		})
	}
	if got := s.do("PUT", lamp, "").header.Get("Allow"); got != "DELETE, GET, POST" {
		t.Errorf("Allow: %s", got)
	}
	select {
	case m := <-c.messages: // P5: errors publish nothing
		t.Errorf("an error was published: %s %s", m.Topic(), m.Payload())
	default:
	}
}

func TestAPI_ListNamedShadows(t *testing.T) {
	s := MustServe(t)
	const list = "/api/things/shadow/ListNamedShadowsForThing/lamp"
	if got, want := s.mustDo("GET", list, ""), `{"results":[],"timestamp":7}`; got != want {
		t.Errorf("empty: %s, want %s", got, want)
	}
	var want []string
	for i := range 30 {
		name := fmt.Sprintf("n%02d", i)
		want = append(want, name)
		s.mustDo("POST", lamp+"?name="+name, `{"state":{}}`)
	}
	s.mustDo("POST", lamp, `{"state":{}}`) // the classic one is never listed
	s.mustDo("POST", lamp+"?name=gone", `{"state":{}}`)
	s.mustDo("DELETE", lamp+"?name=gone", "")
	for _, size := range []string{"", "1", "7", "30", "100"} {
		var got []string
		token, pages := "", 0
		for {
			var page struct {
				Results   []string
				NextToken string
			}
			if err := json.Unmarshal([]byte(s.mustDo("GET", list+"?pageSize="+size+"&nextToken="+token, "")), &page); err != nil {
				t.Fatal(err)
			}
			got = append(got, page.Results...)
			pages++
			if token = page.NextToken; token == "" {
				break
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("pages of %s (-want +got):\n%s", size, diff)
		}
		if want := map[string]int{"": 2, "1": 30, "7": 5, "30": 1, "100": 1}[size]; pages != want {
			t.Errorf("%d pages of %s, want %d", pages, size, want)
		}
	}
	for _, query := range []string{"pageSize=0", "pageSize=101", "pageSize=x", "nextToken=***", "nextToken=Lw"} {
		if got := s.do("GET", list+"?"+query, ""); got.status != 400 || got.kind != "InvalidRequestException" {
			t.Errorf("%s: %d %s", query, got.status, got.kind)
		}
	}
}

// Other routes stand beside these.
func TestAPI_Other(t *testing.T) {
	s := MustServe(t)
	s.api.Other = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("content-type", "application/json")
		_, _ = fmt.Fprint(w, r.URL.Path)
	})
	for _, path := range []string{"/enroll", "/things", "/things/lamp", "/"} {
		if got := s.mustDo("GET", path, ""); got != path {
			t.Errorf("%s: %s", path, got)
		}
	}
	if got := s.do("GET", lamp, ""); got.status != 404 || !strings.Contains(got.body, "No shadow exists") {
		t.Errorf("%d %s", got.status, got.body)
	}
}
