package shadow_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"edgeshadow/localshadow/shadow"
)

func TestParseUpdate_Rejections(t *testing.T) {
	for _, row := range []struct{ rule, payload, want string }{
		{"E1 empty", ``, `400 Payload contains invalid json`},
		{"E1 not JSON", `{"state":`, `400 Payload contains invalid json`},
		{"E1 bare number", `66`, `400 Missing required node: state`},
		{"E1 array", `[]`, `400 Missing required node: state`},
		{"E1 encoding", "{\"state\":{\"desired\":{\"a\":\"\xff\"}}}", `415 Unsupported documented encoding; supported encoding is UTF-8`},
		{"Q1 missing", `{"version":1}`, `400 Missing required node: state`},
		{"Q1 type", `{"state":5}`, `400 State node must be an object`},
		{"Q1 array", `{"state":[]}`, `400 State node must be an object`},
		{"Q2 stranger", `{"state":{"delta":{}}}`, `400 State contains an invalid node: 'delta'`},
		{"Q2 stranger beside", `{"state":{"desired":{},"other":1}}`, `400 State contains an invalid node: 'other'`},
		{"Q2 desired", `{"state":{"desired":1}}`, `400 Desired node must be an object`},
		{"Q2 reported", `{"state":{"reported":[1]}}`, `400 Reported node must be an object`},
		{"M10 null in array", `{"state":{"desired":{"a":[1,null]}}}`, `400 Payload contains invalid json`},
		{"M10 deep", `{"state":{"desired":{"a":[{"b":null}]}}}`, `400 Payload contains invalid json`},
		{"V5 text", `{"state":{},"version":"1"}`, `400 Invalid version`},
		{"V5 fraction", `{"state":{},"version":1.5}`, `400 Invalid version`},
		{"V5 null", `{"state":{},"version":null}`, `400 Invalid version`},
		{"V5 negative", `{"state":{},"version":-1}`, `400 Invalid version`},
		{"C1 type", `{"state":{},"clientToken":5}`, `400 Invalid clientToken`},
		{"C1 65 bytes", `{"state":{},"clientToken":"` + strings.Repeat("é", 32) + `x"}`, `400 Invalid clientToken`},
		{"C1 before Q1", `{"clientToken":5}`, `400 Invalid clientToken`},
		{"L2 seven keys", `{"state":{"reported":{"1":{"2":{"3":{"4":{"5":{"6":{"7":1}}}}}}}}}`, `400 JSON contains too many levels of nesting; maximum is 6`},
		{"L2 arrays count", `{"state":{"desired":{"1":[[[[[[1]]]]]]}}}`, `400 JSON contains too many levels of nesting; maximum is 6`},
		{"order: Q1 before L2", `{"state":{"desired":1,"reported":{"1":{"2":{"3":{"4":{"5":{"6":{"7":1}}}}}}}}}`, `400 Desired node must be an object`},
		{"order: L2 before M10", `{"state":{"desired":{"a":[null]},"reported":{"1":{"2":{"3":{"4":{"5":{"6":{"7":1}}}}}}}}}`, `400 JSON contains too many levels of nesting; maximum is 6`},
		{"order: M10 before V5", `{"state":{"desired":{"a":[null]}},"version":"x"}`, `400 Payload contains invalid json`},
		{"L2 bomb", `{"state":{"desired":` + strings.Repeat(`{"a":`, 5000) + `1` + strings.Repeat(`}`, 5002), `400 JSON contains too many levels of nesting; maximum is 6`},
	} {
		t.Run(row.rule, func(t *testing.T) {
			_, err := shadow.ParseUpdate([]byte(row.payload), shadow.DefaultLimits())
			if got := rejection(t, err); got != row.want {
				t.Errorf("got %s, want %s", got, row.want)
			}
		})
	}
}

func TestParseUpdate_Accepts(t *testing.T) {
	for _, row := range []struct{ rule, payload string }{
		{"Q1 null", `{"state":null}`},
		{"Q2 null sections", `{"state":{"desired":null,"reported":null}}`},
		{"Q3 unknown members", `{"state":{},"metadata":5,"timestamp":"x","other":[]}`},
		{"C1 64 bytes", `{"state":{},"clientToken":"` + strings.Repeat("é", 32) + `"}`},
		{"L2 six keys", `{"state":{"reported":{"1":{"2":{"3":{"4":{"5":{"6":"x"}}}}}}}}`},
		{"L2 empty containers add none", `{"state":{"reported":{"1":{"2":{"3":{"4":{"5":{"6":{}}}}}}}}}`},
		{"L2 sections apart", `{"state":{"desired":{"1":{"2":{"3":{"4":{"5":{"6":1}}}}}},"reported":{"1":{"2":{"3":{"4":{"5":{"6":1}}}}}}}}`},
		{"trailing text", `{"state":{}},"version":1}`},
		{"white space", " {\r\n\t\"state\" : { } } "},
	} {
		t.Run(row.rule, func(t *testing.T) {
			if _, err := shadow.ParseUpdate([]byte(row.payload), shadow.DefaultLimits()); err != nil {
				t.Error(err)
			}
		})
	}
}

// C2: the token is echoed in a rejection when it was usable.
func TestParseUpdate_TokenBesideAnError(t *testing.T) {
	u, err := shadow.ParseUpdate([]byte(`{"clientToken":"t","state":5}`), shadow.DefaultLimits())
	var e *shadow.Error
	if !errors.As(err, &e) {
		t.Fatal(err)
	}
	if got, want := string(shadow.AppendRejected(nil, e, u.ClientToken)), `{"code":400,"message":"State node must be an object","clientToken":"t"}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// G4, X2, V6: a get or delete payload is only asked for its token.
func TestParseToken(t *testing.T) {
	for payload, want := range map[string]string{
		``: "", `x`: "", `{}`: "", `[1]`: "", `{"clientToken":5}`: "", `{"clientToken":"t","version":"x"}`: "t", "\xff": "",
		`{"clientToken":"` + strings.Repeat("x", 65) + `"}`: "",
	} {
		got := ""
		if token := shadow.ParseToken([]byte(payload)); token != nil {
			got = *token
		}
		if got != want {
			t.Errorf("%q: got %q, want %q", payload, got, want)
		}
	}
}

func TestApply_Versions(t *testing.T) {
	lim := shadow.DefaultLimits()
	d := history(t, `{"state":{"desired":{"a":1}}}`)
	if d.Version != 1 { // V1
		t.Errorf("V1: version %d", d.Version)
	}
	for i, p := range []string{`{"state":{"desired":{"a":1}}}`, `{"state":{}}`, `{"state":null}`} { // V2
		next, err := shadow.Apply(d, d.Version, update(t, p), 1, lim)
		if err != nil || next.Version != int64(i)+2 {
			t.Fatalf("V2 %s: %+v, %v", p, next, err)
		}
		d = next
	}
	for version, good := range map[string]bool{"3": false, "4": true, "5": false} { // V3
		_, err := shadow.Apply(d, d.Version, update(t, `{"state":{},"version":`+version+`}`), 1, lim)
		if (err == nil) != good {
			t.Errorf("V3 version %s: %v", version, err)
		}
		if err != nil && rejection(t, err) != "409 Version conflict" {
			t.Errorf("V3: %v", err)
		}
	}
	if _, err := shadow.Apply(d, d.Version, update(t, `{"state":{}}`), 1, lim); err != nil { // V4
		t.Errorf("V4: %v", err)
	}
	again, err := shadow.Apply(nil, 5, update(t, `{"state":{"desired":{"a":1}}}`), 1, lim) // V7: 4 was deleted as 5
	if err != nil || again.Version != 6 {
		t.Errorf("V7: %+v, %v", again, err)
	}
	if _, err := shadow.Apply(nil, 5, update(t, `{"state":{},"version":4}`), 1, lim); rejection(t, err) != "409 Version conflict" { // V8
		t.Errorf("V8: %v", err)
	}
	if _, err := shadow.Apply(nil, 0, update(t, `{"state":{},"version":1}`), 1, lim); rejection(t, err) != "409 Version conflict" { // V8
		t.Errorf("V8 of a shadow that never was: %v", err)
	}
}

// L1: 8192 bytes of sections pass, one more does not, and what shrinks passes.
func TestApply_Size(t *testing.T) {
	lim := shadow.DefaultLimits()
	pad := func(n int) string { // a reported section of n bytes
		return `{"state":{"reported":{"a":"` + strings.Repeat("x", n-len(`{"a":""}`)) + `"}}}`
	}
	d, err := shadow.Apply(nil, 0, update(t, pad(8192)), 1, lim)
	if err != nil {
		t.Fatal(err)
	}
	_, err = shadow.Apply(d, 1, update(t, pad(8193)), 1, lim)
	if got := rejection(t, err); got != "413 Json document too large.  Size is 8193, max allowed: 8192" {
		t.Error(got)
	}
	_, err = shadow.Apply(d, 1, update(t, `{"state":{"desired":{"b":1}}}`), 1, lim) // old content counts
	if got := rejection(t, err); got != "413 Json document too large.  Size is 8199, max allowed: 8192" {
		t.Error(got)
	}
	var leaves []string // T6: their metadata alone is above the limit
	for i := range 800 {
		leaves = append(leaves, fmt.Sprintf(`"k%03d":1`, i))
	}
	many, err := shadow.Apply(nil, 0, update(t, ` { "state" : {"reported" : {`+strings.Join(leaves, ` , `)+`}}, "clientToken":"t"}`), 1, lim)
	if err != nil {
		t.Fatalf("T6: %v", err)
	}
	if n := len(shadow.AppendGet(nil, many, 1, nil)); n < 2*lim.Size {
		t.Errorf("T6: with its metadata the document has only %d bytes", n)
	}
	big, err := shadow.Apply(nil, 0, update(t, pad(9000)), 1, shadow.Limits{Size: 10000, Depth: 6})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := shadow.Apply(big, 1, update(t, pad(8900)), 1, lim); err != nil {
		t.Errorf("a deletion: %v", err)
	}
	if _, err := shadow.Apply(big, 1, update(t, `{"state":{"desired":{"b":1}}}`), 1, lim); err == nil {
		t.Error("an oversize document grew")
	}
}

// E1: the texts that clients match.
func TestErrors(t *testing.T) {
	for want, e := range map[string]*shadow.Error{
		`{"code":400,"message":"Payload contains invalid json"}`:                                shadow.ErrInvalidJSON,
		`{"code":400,"message":"Missing required node: state"}`:                                 shadow.ErrMissingState,
		`{"code":400,"message":"State node must be an object"}`:                                 shadow.ErrStateObject,
		`{"code":400,"message":"Desired node must be an object"}`:                               shadow.ErrDesiredObject,
		`{"code":400,"message":"Reported node must be an object"}`:                              shadow.ErrReportedObject,
		`{"code":400,"message":"Invalid version"}`:                                              shadow.ErrInvalidVersion,
		`{"code":400,"message":"Invalid clientToken"}`:                                          shadow.ErrInvalidToken,
		`{"code":409,"message":"Version conflict"}`:                                             shadow.ErrVersionConflict,
		`{"code":415,"message":"Unsupported documented encoding; supported encoding is UTF-8"}`: shadow.ErrEncoding,
		`{"code":429,"message":"Too many requests"}`:                                            shadow.ErrThrottled,
		`{"code":500,"message":"Internal service failure"}`:                                     shadow.ErrInternal,
		`{"code":404,"message":"No shadow exists with name: 'T~S'"}`:                            shadow.NotFound(shadow.ID{Thing: "T", Name: "S"}),
	} {
		if got := string(shadow.AppendRejected(nil, e, nil)); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
