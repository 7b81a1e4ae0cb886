package rest

import (
	"context"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"edgeshadow/localshadow/broker"
	"edgeshadow/localshadow/shadow"
)

// Shadows is the shadow service.
type Shadows interface {
	// Get, Update and Delete answer with the accepted message; a refusal is a
	// *shadow.Error.
	Get(ctx context.Context, id shadow.ID, payload []byte) ([]byte, error)
	Update(ctx context.Context, id shadow.ID, payload []byte) ([]byte, error)
	Delete(ctx context.Context, id shadow.ID, payload []byte) ([]byte, error)
	// Names lists at most limit named shadows of a thing, in order, from the
	// name after after on.
	Names(thing, after string, limit int) ([]string, error)
}

// Broker is where messages go, and clients are.
type Broker interface {
	// Post publishes a message of a client.
	Post(ctx context.Context, who broker.Principal, m broker.Posted) error
	// Retained is the retained message of a topic, AllRetained all in order.
	Retained(topic string) (broker.Retained, bool)
	AllRetained() []broker.Retained
	// Evict disconnects a client and says whether it was connected.
	Evict(clientID string, clean, noWill bool) bool
}

// API answers requests. Its fields are set before the first one.
type API struct {
	Shadows Shadows
	Broker  Broker
	Other   http.Handler     // paths that are none of ours; nil: they are not found
	Log     *slog.Logger     // nil discards
	Now     func() time.Time // stamps answers; nil: time.Now
}

// call is one request under way.
type call struct {
	*http.Request
	op    operation
	name  string // of the path
	query url.Values
	who   broker.Principal
}

// may asks the policies.
func (c *call) may(action, resource string) bool {
	if c.who.May(action, resource) {
		return true
	}
	c.who.Refused(action, resource)
	return false
}

// ServeHTTP implements http.Handler.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path, ours := parsePath(r.URL.EscapedPath())
	if !ours && a.Other != nil {
		a.Other.ServeHTTP(w, r)
		return
	}
	w.Header().Set("content-type", "application/json")
	var token *string // of the body, which a refusal echoes (C2)
	answer, err := a.answer(w, r, path, &token)
	if err == nil {
		_, _ = w.Write(answer)
		return
	}
	refused := refusal(err)
	if refused.Code >= http.StatusInternalServerError && a.Log != nil {
		a.Log.Warn("request failed", "method", r.Method, "path", r.URL.Path, "err", err)
	}
	w.Header().Set("x-amzn-ErrorType", exceptions[refused.Code])
	w.WriteHeader(refused.Code)
	_, _ = w.Write(shadow.AppendRejected(nil, refused, token))
}

func (a *API) answer(w http.ResponseWriter, r *http.Request, path route, token **string) ([]byte, error) {
	if path.methods == nil {
		return nil, errNoRoute
	}
	op, ok := path.methods[r.Method]
	if !ok {
		w.Header().Set("Allow", strings.Join(slices.Sorted(maps.Keys(path.methods)), ", "))
		return nil, errMethod
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, invalid("Invalid query")
	}
	c := &call{Request: r, op: op, name: path.name, query: query, who: broker.PrincipalOf(r.Context())}
	switch op {
	case listShadows:
		return a.listShadows(c)
	case publish:
		return a.publish(c)
	case getRetained:
		return a.getRetained(c)
	case listRetained:
		return a.listRetained(c)
	case closeConnection:
		return a.closeConnection(c)
	default:
		return a.shadow(c, token)
	}
}

// body reads it, up to the bound that the broker set.
func (c *call) body() ([]byte, error) {
	data, err := io.ReadAll(c.Body)
	if err != nil && refusal(err) != errTooLarge {
		return nil, invalid("The body ends too early")
	}
	return data, err
}

func (a *API) now() time.Time {
	if a.Now == nil {
		return time.Now()
	}
	return a.Now()
}
