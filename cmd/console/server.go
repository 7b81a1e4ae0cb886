package console

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"edgeshadow/localshadow/shadow"
)

// DefaultSocket is the daemon's place for the API.
const DefaultSocket = "/run/edgeshadow/edgeshadow.sock"

// SocketHint is the cure for a socket that can't be had.
const SocketHint = "set EDGESHADOW_SOCKET to a path of its own that it may write"

const maxBody = 128 << 10 // a request document is never larger

// Server serves the API. New makes it, Listen binds, Run serves.
type Server struct {
	gateway  Gateway
	log      *slog.Logger
	listener net.Listener
	watchers watchers
}

// New makes a server for a gateway.
func New(g Gateway, log *slog.Logger) *Server { return &Server{gateway: g, log: log} }

// Listen binds the socket, mode 0660. The socket of a daemon that was killed is
// replaced; that of a running one is an error.
func (s *Server) Listen(path string) error {
	if c, err := net.DialTimeout("unix", path, time.Second); err == nil {
		_ = c.Close()
		return fmt.Errorf("socket %s: another edgeshadow is running", path)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("socket: %w", err)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("socket: %w", err)
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return fmt.Errorf("socket: %w", err)
	}
	s.listener = l
	return os.Chmod(path, 0o660)
}

// Close gives the socket up; twice is fine.
func (s *Server) Close() error {
	if s.listener == nil {
		return nil
	}
	if err := s.listener.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

// Run serves until ctx ends.
func (s *Server) Run(ctx context.Context) error {
	return serve(ctx, s.listener, s.routes(), s.log)
}

func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/status", answer(s.gateway.Status))
	mux.HandleFunc("GET /v1/things", answer(s.gateway.Things))
	mux.HandleFunc("GET /v1/sync", answer(s.gateway.SyncStatus))
	mux.HandleFunc("GET /v1/sync/log", s.decisions)
	s.syncRoutes(mux)
	mux.HandleFunc("GET /v1/things/{thing}/shadow", s.shadow(s.gateway.Shadows().Get))
	mux.HandleFunc("POST /v1/things/{thing}/shadow", s.shadow(s.gateway.Shadows().Update))
	mux.HandleFunc("DELETE /v1/things/{thing}/shadow", s.shadow(s.gateway.Shadows().Delete))
	mux.HandleFunc("GET /v1/things/{thing}/shadows", s.names)
	mux.HandleFunc("GET /v1/things/{thing}/watch", s.watch)
	mux.HandleFunc("POST /v1/reload", func(w http.ResponseWriter, _ *http.Request) { respond(w, s.gateway.Reloaded(), nil) })
	mux.HandleFunc("GET /v1/backup", s.backup)
	mux.HandleFunc("POST /v1/buses/{bus}/exchange", s.exchange)
	mux.HandleFunc("GET /v1/serial/tap", s.tap)
	mux.HandleFunc("GET /v1/ble/near", s.near)
	s.accessRoutes(mux)
	s.registryRoutes(mux)
	profiles(mux)
	s.health(mux)
	return mux
}

// answer serves a value as JSON.
func answer[T any](read func() (T, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		v, err := read()
		respond(w, v, err)
	}
}

func respond(w http.ResponseWriter, v any, err error) {
	if err != nil {
		refuse(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}

// refuse answers with the body of a rejection.
func refuse(w http.ResponseWriter, err error) {
	var e *shadow.Error
	if !errors.As(err, &e) {
		e = &shadow.Error{Code: http.StatusInternalServerError, Message: err.Error()}
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(e.Code)
	_, _ = w.Write(shadow.AppendRejected(nil, e, nil))
}

// identify reads the shadow that a request is about.
func identify(r *http.Request) (shadow.ID, error) {
	id := shadow.ID{Thing: r.PathValue("thing"), Name: r.URL.Query().Get("name")}
	if err := id.Check(); err != nil {
		return id, &shadow.Error{Code: http.StatusBadRequest, Message: err.Error()}
	}
	return id, nil
}

// shadow serves one operation of the shadow service.
func (s *Server) shadow(op func(context.Context, shadow.ID, []byte) ([]byte, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		id, err := identify(r)
		if err != nil {
			refuse(w, err)
			return
		}
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		if err != nil {
			refuse(w, &shadow.Error{Code: http.StatusRequestEntityTooLarge, Message: err.Error()})
			return
		}
		out, err := op(r.Context(), id, body)
		if err != nil {
			refuse(w, err)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(out)
	}
}

// names lists a thing's shadows, the classic one first, with their versions.
func (s *Server) names(w http.ResponseWriter, r *http.Request) {
	thing := r.PathValue("thing")
	if err := (shadow.ID{Thing: thing}).Check(); err != nil {
		refuse(w, &shadow.Error{Code: http.StatusBadRequest, Message: err.Error()})
		return
	}
	names, err := s.gateway.Shadows().Names(thing, "", 0)
	if err != nil {
		refuse(w, err)
		return
	}
	out := []Shadow{}
	for _, name := range append([]string{""}, names...) {
		d, err := s.gateway.Shadows().Document(shadow.ID{Thing: thing, Name: name})
		if err != nil {
			refuse(w, err)
			return
		}
		if d != nil {
			out = append(out, Shadow{name, d.Version})
		}
	}
	respond(w, out, nil)
}

// decisions serves the journal of one shadow, or of all.
func (s *Server) decisions(w http.ResponseWriter, r *http.Request) {
	var of *shadow.ID
	if thing := r.URL.Query().Get("thing"); thing != "" {
		of = &shadow.ID{Thing: thing, Name: r.URL.Query().Get("name")}
	}
	d, err := s.gateway.Decisions(of)
	respond(w, d, err)
}
