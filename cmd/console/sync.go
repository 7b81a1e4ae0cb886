package console

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"edgeshadow/bridge"
	"edgeshadow/localshadow/shadow"
)

// Reconciler is what the console asks the reconciler.
type Reconciler interface {
	Plan() ([]bridge.Step, error)
	Verify(ctx context.Context, thing string) ([]bridge.ShadowStatus, error)
	Diff(id shadow.ID) (bridge.Comparison, error)
}

// verifyTimeout is how long a comparison may take: the link may be down.
const verifyTimeout = 20 * time.Second

var errNoUplink = &shadow.Error{Code: http.StatusNotFound, Message: "this gateway has no uplink: its configuration has no cloud"}

// syncRoutes are those of the reconciler.
func (s *Server) syncRoutes(mux *http.ServeMux) {
	mux.HandleFunc("GET /v1/sync/plan", func(w http.ResponseWriter, _ *http.Request) {
		with(w, s.gateway.Reconciler(), Reconciler.Plan)
	})
	mux.HandleFunc("POST /v1/sync/verify/{thing}", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), verifyTimeout)
		defer cancel()
		with(w, s.gateway.Reconciler(), func(rec Reconciler) ([]bridge.ShadowStatus, error) {
			return rec.Verify(ctx, r.PathValue("thing"))
		})
	})
	mux.HandleFunc("GET /v1/things/{thing}/diff", func(w http.ResponseWriter, r *http.Request) {
		id, err := identify(r)
		if err != nil {
			refuse(w, err)
			return
		}
		with(w, s.gateway.Reconciler(), func(rec Reconciler) (bridge.Comparison, error) { return rec.Diff(id) })
	})
}

// with answers with what the reconciler says, if there is one.
func with[T any](w http.ResponseWriter, r Reconciler, ask func(Reconciler) (T, error)) {
	if r == nil {
		refuse(w, errNoUplink)
		return
	}
	v, err := ask(r)
	respond(w, v, err)
}

// Plan asks what a reconcile would do now.
func (c *Client) Plan(ctx context.Context) (p []bridge.Step, err error) {
	return p, c.json(ctx, "/v1/sync/plan", &p)
}

// Verify compares the shadows of a thing with the cloud.
func (c *Client) Verify(ctx context.Context, thing string) (s []bridge.ShadowStatus, err error) {
	return s, c.ask(ctx, http.MethodPost, "/v1/sync/verify/"+url.PathEscape(thing), &s)
}

// Diff compares a shadow with what is known of the cloud.
func (c *Client) Diff(ctx context.Context, id shadow.ID) (d bridge.Comparison, err error) {
	return d, c.json(ctx, "/v1/things/"+url.PathEscape(id.Thing)+"/diff?"+url.Values{"name": {id.Name}}.Encode(), &d)
}
