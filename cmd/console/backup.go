package console

import (
	"context"
	"io"
	"net/http"
)

// backup streams a backup. A stream that breaks off was none: its checksum is
// missing.
func (s *Server) backup(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/gzip")
	if err := s.gateway.Backup(w); err != nil {
		s.log.Warn("backup", "err", err)
		panic(http.ErrAbortHandler) // else the client would take it for complete
	}
	s.log.Info("backup made")
}

// Backup writes a backup of the daemon's gateway to w.
func (c *Client) Backup(ctx context.Context, w io.Writer) error {
	body, err := c.do(ctx, http.MethodGet, "/v1/backup", nil)
	if err != nil {
		return err
	}
	defer body.Close()
	_, err = io.Copy(w, body)
	return err
}
