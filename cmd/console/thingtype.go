package console

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"

	"edgeshadow/localshadow/registry"
)

func (s *Server) typeRoutes(mux *http.ServeMux) {
	r := s.gateway.Registry()
	mux.HandleFunc("GET /v1/types", registered(func(*http.Request) (any, error) { return r.Types(), nil }))
	mux.HandleFunc("GET /v1/types/{type}", registered(func(q *http.Request) (any, error) { return r.Type(q.PathValue("type")) }))
	mux.HandleFunc("POST /v1/types/{type}", registered(func(q *http.Request) (any, error) {
		var t registry.Type
		text, err := io.ReadAll(io.LimitReader(q.Body, maxBody))
		if err == nil {
			err = json.Unmarshal(text, &t)
		}
		if err != nil {
			return nil, err
		}
		return r.CreateType(q.Context(), q.PathValue("type"), t.Description, t.Searchable)
	}))
	mux.HandleFunc("POST /v1/types/{type}/deprecate", registered(func(q *http.Request) (any, error) {
		return struct{}{}, r.Deprecate(q.Context(), q.PathValue("type"), q.URL.Query().Get("undo") != "true")
	}))
	mux.HandleFunc("DELETE /v1/types/{type}", registered(func(q *http.Request) (any, error) {
		if _, err := r.Type(q.PathValue("type")); err != nil {
			return nil, err
		}
		return struct{}{}, r.DeleteType(q.Context(), q.PathValue("type"))
	}))
}

// Types lists the thing types.
func (c *Client) Types(ctx context.Context) (types []registry.Type, err error) {
	return types, c.json(ctx, "/v1/types", &types)
}

// Type asks for one thing type.
func (c *Client) Type(ctx context.Context, name string) (t registry.Type, err error) {
	return t, c.json(ctx, "/v1/types/"+url.PathEscape(name), &t)
}

// CreateType describes a thing type.
func (c *Client) CreateType(ctx context.Context, name, description string, searchable []string) (t registry.Type, err error) {
	text, err := json.Marshal(registry.Type{Description: description, Searchable: searchable})
	if err != nil {
		return t, err
	}
	return t, c.call(ctx, http.MethodPost, "/v1/types/"+url.PathEscape(name), text, &t)
}

// DeprecateType says that no further thing may have a type; undo: that it may.
func (c *Client) DeprecateType(ctx context.Context, name string, undo bool) error {
	path := "/v1/types/" + url.PathEscape(name) + "/deprecate"
	if undo {
		path += "?undo=true"
	}
	return c.call(ctx, http.MethodPost, path, nil, &struct{}{})
}

// DeleteType removes a deprecated thing type.
func (c *Client) DeleteType(ctx context.Context, name string) error {
	return c.call(ctx, http.MethodDelete, "/v1/types/"+url.PathEscape(name), nil, &struct{}{})
}
