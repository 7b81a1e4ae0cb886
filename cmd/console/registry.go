package console

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"

	"edgeshadow/localshadow/access"
	"edgeshadow/localshadow/registry"
	"edgeshadow/localshadow/shadow"
)

// Entry is what is known of one thing.
type Entry struct {
	registry.Thing
	Certificates []access.Issued `json:"certificates"`
	Shadows      []Shadow        `json:"shadows"`
}

func (s *Server) registryRoutes(mux *http.ServeMux) {
	r := s.gateway.Registry()
	mux.HandleFunc("GET /v1/registry/{thing}", registered(func(q *http.Request) (any, error) { return s.entry(q.PathValue("thing")) }))
	mux.HandleFunc("POST /v1/registry/{thing}", registered(func(q *http.Request) (any, error) {
		var t registry.Thing
		text, err := io.ReadAll(io.LimitReader(q.Body, maxBody))
		if err == nil {
			err = json.Unmarshal(text, &t)
		}
		if err != nil {
			return nil, err
		}
		return r.Create(q.Context(), q.PathValue("thing"), t.Type, t.Attributes)
	}))
	mux.HandleFunc("DELETE /v1/registry/{thing}", registered(func(q *http.Request) (any, error) {
		if _, err := r.Get(q.PathValue("thing")); err != nil {
			return nil, err
		}
		return struct{}{}, r.Delete(q.Context(), q.PathValue("thing"), 0)
	}))
	s.typeRoutes(mux)
}

// registered is asked, with the codes of the registry.
func registered(read func(r *http.Request) (any, error)) http.HandlerFunc {
	return asked(func(r *http.Request) (any, error) {
		v, err := read(r)
		var refused *registry.Error
		if errors.As(err, &refused) {
			err = &shadow.Error{Code: refused.Status, Message: refused.Text}
		}
		return v, err
	})
}

// entry is all that is known of a thing: one without an entry may have
// certificates and shadows.
func (s *Server) entry(name string) (Entry, error) {
	t, missing := s.gateway.Registry().Get(name)
	e := Entry{Thing: t, Certificates: []access.Issued{}, Shadows: []Shadow{}}
	e.Name = name
	issued, err := s.gateway.Access().List()
	if err != nil {
		return e, err
	}
	for _, i := range issued {
		if i.Thing == name {
			e.Certificates = append(e.Certificates, i)
		}
	}
	names, err := s.gateway.Shadows().Names(name, "", 0)
	if err != nil {
		return e, err
	}
	for _, n := range append([]string{""}, names...) {
		d, err := s.gateway.Shadows().Document(shadow.ID{Thing: name, Name: n})
		if err != nil {
			return e, err
		}
		if d != nil {
			e.Shadows = append(e.Shadows, Shadow{n, d.Version})
		}
	}
	if missing != nil && len(e.Certificates) == 0 && len(e.Shadows) == 0 {
		return e, missing
	}
	return e, nil
}

// Entry asks for one thing.
func (c *Client) Entry(ctx context.Context, thing string) (e Entry, err error) {
	return e, c.json(ctx, "/v1/registry/"+url.PathEscape(thing), &e)
}

// CreateThing makes an entry of the registry.
func (c *Client) CreateThing(ctx context.Context, name, kind string, attributes map[string]string) (t registry.Thing, err error) {
	text, err := json.Marshal(registry.Thing{Type: kind, Attributes: attributes})
	if err != nil {
		return t, err
	}
	return t, c.call(ctx, http.MethodPost, "/v1/registry/"+url.PathEscape(name), text, &t)
}

// DeleteThing removes an entry; shadows and certificates stay.
func (c *Client) DeleteThing(ctx context.Context, name string) error {
	return c.call(ctx, http.MethodDelete, "/v1/registry/"+url.PathEscape(name), nil, &struct{}{})
}
