package console

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"time"

	"edgeshadow/localshadow/access"
	"edgeshadow/localshadow/broker"
	"edgeshadow/localshadow/shadow"
)

// Access is who may do what: *access.Access.
type Access interface {
	Enroll(ctx context.Context, thing string, replace bool) (access.Bundle, error)
	Sign(ctx context.Context, request []byte) (access.Bundle, error)
	Token(ctx context.Context, thing string, ttl time.Duration) (string, error)
	List() ([]access.Issued, error)
	Revoke(what string) ([]string, error)
	Fingerprint() string
	CreateKey(ctx context.Context, policies []string, ttl time.Duration) (access.Key, error)
	Keys() []access.KeyInfo
	DeleteKey(ctx context.Context, id string) error
	PutPolicy(ctx context.Context, name string, text []byte) error
	DeletePolicy(ctx context.Context, name string) error
	Policies() []access.PolicyInfo
	Can(who, action, resource, client string) (access.Verdict, error)
	Denied() []access.Denial
}

// Enrolment is what a device needs, and where it connects.
type Enrolment struct {
	access.Bundle
	Endpoint string `json:"endpoint,omitempty"` // host:port of MQTT over TLS; empty: no listener admits certificates
}

// Token is a one-time token and what a device needs beside it.
type Token struct {
	Token    string `json:"token"`
	Thing    string `json:"thing"`
	For      string `json:"for"`
	CA       string `json:"ca_fingerprint"`     // SHA-256 of the CA's certificate
	Endpoint string `json:"endpoint,omitempty"` // host:port of HTTPS; empty: there is no such listener
	Broker   string `json:"broker,omitempty"`   // host:port of MQTT with a certificate; empty: there is no such listener
}

func (s *Server) accessRoutes(mux *http.ServeMux) {
	a := s.gateway.Access()
	mux.HandleFunc("GET /v1/access/certificates", answer(a.List))
	mux.HandleFunc("POST /v1/access/certificates/{thing}", asked(func(r *http.Request) (any, error) {
		b, err := a.Enroll(r.Context(), r.PathValue("thing"), r.URL.Query().Get("replace") == "true")
		return Enrolment{b, s.gateway.Endpoint(broker.MQTT)}, err
	}))
	mux.HandleFunc("POST /v1/access/sign", asked(func(r *http.Request) (any, error) {
		request, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
		if err != nil {
			return nil, err
		}
		b, err := a.Sign(r.Context(), request)
		return Enrolment{b, s.gateway.Endpoint(broker.MQTT)}, err
	}))
	mux.HandleFunc("POST /v1/access/tokens/{thing}", asked(func(r *http.Request) (any, error) {
		ttl, err := ttlOf(r, access.DefaultTokenTime)
		if err != nil {
			return nil, err
		}
		text, err := a.Token(r.Context(), r.PathValue("thing"), ttl)
		return Token{text, r.PathValue("thing"), ttl.String(), a.Fingerprint(), s.gateway.Endpoint(broker.HTTP), s.gateway.Endpoint(broker.MQTT)}, err
	}))
	mux.HandleFunc("POST /v1/access/revoke", asked(func(r *http.Request) (any, error) { return a.Revoke(r.URL.Query().Get("what")) }))
	mux.HandleFunc("GET /v1/access/keys", asked(func(*http.Request) (any, error) { return a.Keys(), nil }))
	mux.HandleFunc("POST /v1/access/keys", asked(func(r *http.Request) (any, error) {
		ttl, err := ttlOf(r, 0)
		if err != nil {
			return nil, err
		}
		return a.CreateKey(r.Context(), r.URL.Query()["policy"], ttl)
	}))
	mux.HandleFunc("DELETE /v1/access/keys/{id}", asked(func(r *http.Request) (any, error) {
		return struct{}{}, a.DeleteKey(r.Context(), r.PathValue("id"))
	}))
	mux.HandleFunc("GET /v1/access/policies", asked(func(*http.Request) (any, error) { return a.Policies(), nil }))
	mux.HandleFunc("PUT /v1/access/policies/{name}", asked(func(r *http.Request) (any, error) {
		text, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
		if err != nil {
			return nil, err
		}
		return struct{}{}, a.PutPolicy(r.Context(), r.PathValue("name"), text)
	}))
	mux.HandleFunc("DELETE /v1/access/policies/{name}", asked(func(r *http.Request) (any, error) {
		return struct{}{}, a.DeletePolicy(r.Context(), r.PathValue("name"))
	}))
	mux.HandleFunc("GET /v1/access/can", asked(func(r *http.Request) (any, error) {
		q := r.URL.Query()
		return a.Can(q.Get("principal"), q.Get("action"), q.Get("resource"), q.Get("client"))
	}))
	mux.HandleFunc("GET /v1/access/denied", asked(func(*http.Request) (any, error) { return a.Denied(), nil }))
}

func ttlOf(r *http.Request, otherwise time.Duration) (time.Duration, error) {
	text := r.URL.Query().Get("ttl")
	if text == "" {
		return otherwise, nil
	}
	return time.ParseDuration(text)
}

// asked serves what depends on the request. What goes wrong is the asker's
// mistake: its text is for them.
func asked(read func(r *http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		v, err := read(r)
		var e *shadow.Error
		if err != nil && !errors.As(err, &e) {
			err = &shadow.Error{Code: http.StatusBadRequest, Message: err.Error()}
		}
		respond(w, v, err)
	}
}

// Enroll issues a key and a certificate.
func (c *Client) Enroll(ctx context.Context, thing string, replace bool) (b Enrolment, err error) {
	path := "/v1/access/certificates/" + url.PathEscape(thing)
	if replace {
		path += "?replace=true"
	}
	return b, c.call(ctx, http.MethodPost, path, nil, &b)
}

// Sign issues a certificate for a request.
func (c *Client) Sign(ctx context.Context, request []byte) (b Enrolment, err error) {
	return b, c.call(ctx, http.MethodPost, "/v1/access/sign", request, &b)
}

// Token makes a one-time token.
func (c *Client) Token(ctx context.Context, thing string, ttl time.Duration) (t Token, err error) {
	return t, c.call(ctx, http.MethodPost, "/v1/access/tokens/"+url.PathEscape(thing)+query("ttl", ttl.String()), nil, &t)
}

// Certificates lists what was issued.
func (c *Client) Certificates(ctx context.Context) (l []access.Issued, err error) {
	return l, c.json(ctx, "/v1/access/certificates", &l)
}

// Revoke ends certificates.
func (c *Client) Revoke(ctx context.Context, what string) (ids []string, err error) {
	return ids, c.call(ctx, http.MethodPost, "/v1/access/revoke"+query("what", what), nil, &ids)
}

// CreateKey makes an access key.
func (c *Client) CreateKey(ctx context.Context, policies []string, ttl time.Duration) (k access.Key, err error) {
	q := url.Values{"policy": policies, "ttl": {ttl.String()}}
	return k, c.call(ctx, http.MethodPost, "/v1/access/keys?"+q.Encode(), nil, &k)
}

// Keys lists access keys.
func (c *Client) Keys(ctx context.Context) (l []access.KeyInfo, err error) {
	return l, c.json(ctx, "/v1/access/keys", &l)
}

// DeleteKey ends an access key.
func (c *Client) DeleteKey(ctx context.Context, id string) error {
	return c.call(ctx, http.MethodDelete, "/v1/access/keys/"+url.PathEscape(id), nil, &struct{}{})
}

// Policies lists policies.
func (c *Client) Policies(ctx context.Context) (l []access.PolicyInfo, err error) {
	return l, c.json(ctx, "/v1/access/policies", &l)
}

// PutPolicy stores a policy.
func (c *Client) PutPolicy(ctx context.Context, name string, text []byte) error {
	return c.call(ctx, http.MethodPut, "/v1/access/policies/"+url.PathEscape(name), text, &struct{}{})
}

// DeletePolicy removes a policy.
func (c *Client) DeletePolicy(ctx context.Context, name string) error {
	return c.call(ctx, http.MethodDelete, "/v1/access/policies/"+url.PathEscape(name), nil, &struct{}{})
}

// Can asks whether a principal may do something.
func (c *Client) Can(ctx context.Context, who, action, resource, client string) (v access.Verdict, err error) {
	return v, c.json(ctx, "/v1/access/can"+query("principal", who, "action", action, "resource", resource, "client", client), &v)
}

// Denied lists recent refusals.
func (c *Client) Denied(ctx context.Context) (l []access.Denial, err error) {
	return l, c.json(ctx, "/v1/access/denied", &l)
}

func query(pairs ...string) string {
	q := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		q.Set(pairs[i], pairs[i+1])
	}
	return "?" + q.Encode()
}

// call sends a request and reads the answer.
func (c *Client) call(ctx context.Context, method, path string, payload []byte, into any) error {
	body, err := c.do(ctx, method, path, payload)
	if err != nil {
		return err
	}
	defer body.Close()
	return json.NewDecoder(body).Decode(into)
}
