package registry

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"edgeshadow/localshadow/shadow"
)

// Caller is who sends a request.
type Caller interface {
	May(action, resource string) bool
	Refused(action, resource string)
}

// maxBody bounds a request: 50 attributes of the longest names and values fit.
const maxBody = 64 << 10

// API serves /things and /things/{thing} as the control plane of AWS IoT has
// them: GET describes and lists, POST creates, PATCH updates, DELETE deletes;
// PUT creates or updates. /thing-types is served likewise, without updates.
type API struct {
	Registry *Registry
	// CallerOf tells who sends a request.
	CallerOf func(ctx context.Context) Caller
}

func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /things", a.list)
	mux.HandleFunc("GET /things/{thing}", a.serve("iot:DescribeThing", a.get))
	mux.HandleFunc("POST /things/{thing}", a.serve("iot:CreateThing", a.create))
	mux.HandleFunc("PATCH /things/{thing}", a.serve("iot:UpdateThing", a.update))
	mux.HandleFunc("PUT /things/{thing}", a.put)
	mux.HandleFunc("DELETE /things/{thing}", a.serve("iot:DeleteThing", a.remove))
	a.typeRoutes(mux)
	if h, pattern := mux.Handler(r); pattern == "" {
		_ = h
		answerError(w, refuse(http.StatusNotFound, "ResourceNotFoundException", "No such resource"))
		return
	}
	mux.ServeHTTP(w, r)
}

// payload is the body of CreateThing and UpdateThing.
type payload struct {
	ThingTypeName    *string `json:"thingTypeName"`
	AttributePayload struct {
		Attributes map[string]string `json:"attributes"`
		Merge      bool              `json:"merge"`
	} `json:"attributePayload"`
	RemoveThingType bool  `json:"removeThingType"`
	ExpectedVersion int64 `json:"expectedVersion"`
}

func (p payload) change() Change {
	c := Change{Type: p.ThingTypeName, Attributes: p.AttributePayload.Attributes, Merge: p.AttributePayload.Merge, Expected: p.ExpectedVersion}
	if p.RemoveThingType {
		none := ""
		c.Type = &none
	}
	return c
}

// description is a thing on the wire.
type description struct {
	DefaultClientID string            `json:"defaultClientId,omitempty"`
	ThingName       string            `json:"thingName"`
	ThingID         string            `json:"thingId,omitempty"`
	ThingArn        string            `json:"thingArn"`
	ThingTypeName   string            `json:"thingTypeName,omitempty"`
	Attributes      map[string]string `json:"attributes"`
	Version         int64             `json:"version"`
}

func describe(t Thing) description {
	d := description{
		DefaultClientID: t.Name, ThingName: t.Name, ThingID: t.ID, ThingArn: "arn:aws:iot:::thing/" + t.Name,
		ThingTypeName: t.Type, Attributes: t.Attributes, Version: t.Version,
	}
	if d.Attributes == nil {
		d.Attributes = map[string]string{}
	}
	return d
}

// handler does what was asked for by name, and returns the answer's body.
type handler func(r *http.Request, name string) (any, error)

// serve is serveNamed of a thing.
func (a *API) serve(action string, do handler) http.HandlerFunc {
	return a.serveNamed("thing", "thing name", action, do)
}

// serveNamed checks the name in the path, asks whether the caller may, and
// answers with what do returns.
func (a *API) serveNamed(in, what, action string, do handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		name := r.PathValue(in)
		if (shadow.ID{Thing: name}).Check() != nil {
			answerError(w, invalid("Invalid %s", what))
			return
		}
		if !a.may(r, action, name) {
			answerError(w, errForbidden)
			return
		}
		v, err := do(r, name)
		respond(w, v, err)
	}
}

var errForbidden = refuse(http.StatusForbidden, "ForbiddenException", "Forbidden")

func (a *API) may(r *http.Request, action, name string) bool {
	who := a.CallerOf(r.Context())
	if who == nil {
		return false
	}
	if who.May(action, name) {
		return true
	}
	who.Refused(action, name)
	return false
}

func (a *API) get(_ *http.Request, name string) (any, error) {
	t, err := a.Registry.Get(name)
	return describe(t), err
}

func (a *API) create(r *http.Request, name string) (any, error) {
	var p payload
	if err := read(r, &p); err != nil {
		return nil, err
	}
	kind := ""
	if p.ThingTypeName != nil {
		kind = *p.ThingTypeName
	}
	t, err := a.Registry.Create(r.Context(), name, kind, p.AttributePayload.Attributes)
	d := describe(t)
	return map[string]string{"thingName": d.ThingName, "thingArn": d.ThingArn, "thingId": d.ThingID}, err
}

func (a *API) update(r *http.Request, name string) (any, error) {
	var p payload
	if err := read(r, &p); err != nil {
		return nil, err
	}
	_, err := a.Registry.Update(r.Context(), name, p.change())
	return struct{}{}, err
}

// put needs the right to create, or, where there is a thing, to update it.
func (a *API) put(w http.ResponseWriter, r *http.Request) {
	action := "iot:CreateThing"
	if _, err := a.Registry.Get(r.PathValue("thing")); err == nil {
		action = "iot:UpdateThing"
	}
	a.serve(action, func(r *http.Request, name string) (any, error) {
		var p payload
		if err := read(r, &p); err != nil {
			return nil, err
		}
		t, err := a.Registry.Put(r.Context(), name, p.change())
		return describe(t), err
	})(w, r)
}

func (a *API) remove(r *http.Request, name string) (any, error) {
	var expected int64
	if text := r.URL.Query().Get("expectedVersion"); text != "" {
		var err error
		if expected, err = strconv.ParseInt(text, 10, 64); err != nil || expected < 1 {
			return nil, invalid("Invalid expectedVersion")
		}
	}
	return struct{}{}, a.Registry.Delete(r.Context(), name, expected)
}

// list pages through the things.
func (a *API) list(w http.ResponseWriter, r *http.Request) {
	if !a.may(r, "iot:ListThings", "") {
		answerError(w, errForbidden)
		return
	}
	q := r.URL.Query()
	things, next, err := page(q, a.Registry.List(), func(t Thing) string { return t.Name }, func(t Thing) bool {
		return (q.Get("thingTypeName") == "" || t.Type == q.Get("thingTypeName")) &&
			(q.Get("attributeName") == "" || t.Attributes[q.Get("attributeName")] == q.Get("attributeValue"))
	})
	out := struct {
		Things    []description `json:"things"`
		NextToken string        `json:"nextToken,omitempty"`
	}{[]description{}, next}
	for _, t := range things {
		out.Things = append(out.Things, describe(t))
	}
	respond(w, out, err)
}

// page is the page of a listing that a query asks for, of what is wanted of all,
// which are in the order of their names. The token is the last name of a page;
// next is empty after the last one.
func page[T any](q url.Values, all []T, name func(T) string, wanted func(T) bool) (some []T, next string, err error) {
	most, err := pageSize(q)
	if err != nil {
		return nil, "", err
	}
	for _, v := range all {
		switch {
		case name(v) <= q.Get("nextToken"), !wanted(v):
			continue
		case len(some) == most:
			return some, name(some[most-1]), nil
		}
		some = append(some, v)
	}
	return some, "", nil
}

// pageSize is how many a listing answers with at most.
func pageSize(q url.Values) (int, error) {
	text := q.Get("maxResults")
	if text == "" {
		return 25, nil
	}
	most, err := strconv.Atoi(text)
	if err != nil || most < 1 || most > 250 {
		return 0, invalid("Invalid maxResults; want 1 to 250")
	}
	return most, nil
}

// read decodes a body; one that is empty leaves p alone.
func read(r *http.Request, p any) error {
	text, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	switch {
	case err != nil:
		return invalid("%v", err)
	case len(text) > maxBody:
		return refuse(http.StatusRequestEntityTooLarge, "RequestEntityTooLargeException", "The payload exceeds the maximum size allowed")
	case len(text) == 0:
		return nil
	}
	if err := json.Unmarshal(text, p); err != nil {
		return invalid("Payload contains invalid json")
	}
	return nil
}

func respond(w http.ResponseWriter, v any, err error) {
	if err != nil {
		answerError(w, err)
		return
	}
	w.Header().Set("content-type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}

func answerError(w http.ResponseWriter, err error) {
	var e *Error
	if !errors.As(err, &e) {
		e = refuse(http.StatusInternalServerError, "InternalFailureException", "Internal service failure")
	}
	w.Header().Set("content-type", "application/json")
	w.Header().Set("x-amzn-ErrorType", e.Exception)
	w.WriteHeader(e.Status)
	_ = json.NewEncoder(w).Encode(map[string]any{"code": e.Status, "message": e.Text})
}
