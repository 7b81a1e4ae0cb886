package console

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// health adds what monitoring asks for: nothing in it tells or changes a shadow.
func (s *Server) health(mux *http.ServeMux) {
	mux.Handle("GET /metrics", metrics(s.gateway))
	// Alive: it answers.
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok\n") })
	// Ready: what it promises it can keep.
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if err := s.gateway.Ready(); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		_, _ = io.WriteString(w, "ready\n")
	})
}

// Monitor serves /metrics, /healthz and /readyz over TCP until ctx ends, and
// nothing else. It closes the listener.
func (s *Server) Monitor(ctx context.Context, l net.Listener) error {
	mux := http.NewServeMux()
	s.health(mux)
	return serve(ctx, l, mux, s.log)
}

// serve serves on a listener until ctx ends.
func serve(ctx context.Context, l net.Listener, h http.Handler, log *slog.Logger) error {
	server := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	if err := server.Serve(l); err != nil && !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("console: %w", err)
	}
	return nil
}
