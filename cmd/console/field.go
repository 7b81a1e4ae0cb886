package console

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"edgeshadow/adapters/ble"
	"edgeshadow/adapters/serial"
	"edgeshadow/localshadow/shadow"
)

// maxNear is how long one scan may take.
const maxNear = 5 * time.Minute

// tap streams what goes over a serial line of the daemon, a JSON object per line.
func (s *Server) tap(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/x-ndjson")
	out := json.NewEncoder(w)
	flush := http.NewResponseController(w)
	began := false
	err := s.gateway.Tap(r.Context(), r.URL.Query().Get("port"), func(c *serial.Chunk) error {
		if c != nil {
			if err := out.Encode(c); err != nil {
				return err
			}
		}
		began = true
		return flush.Flush()
	})
	if err != nil && !began {
		refuse(w, err)
	}
}

// near tells which Bluetooth devices are near.
func (s *Server) near(w http.ResponseWriter, r *http.Request) {
	long, err := time.ParseDuration(r.URL.Query().Get("for"))
	if err != nil || long < 0 || long > maxNear {
		refuse(w, &shadow.Error{Code: http.StatusBadRequest, Message: fmt.Sprintf("for: a duration up to %s", maxNear)})
		return
	}
	list, err := s.gateway.Near(r.Context(), long)
	respond(w, list, err)
}

// Tap calls next with what goes over a port of the daemon until ctx ends, next
// fails, or the daemon ends.
func (c *Client) Tap(ctx context.Context, port string, next func(serial.Chunk) error) error {
	body, err := c.do(ctx, http.MethodGet, "/v1/serial/tap?"+url.Values{"port": {port}}.Encode(), nil)
	if err != nil {
		return err
	}
	defer body.Close()
	lines := bufio.NewScanner(body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var chunk serial.Chunk
		if err := json.Unmarshal(lines.Bytes(), &chunk); err != nil {
			return err
		}
		if err := next(chunk); err != nil {
			return err
		}
	}
	if ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("%w: it ended the stream", ErrUnreachable)
}

// Near has the daemon listen for so long, and lists the Bluetooth devices that
// are near.
func (c *Client) Near(ctx context.Context, long time.Duration) (list []ble.Sighting, err error) {
	return list, c.json(ctx, "/v1/ble/near?"+url.Values{"for": {long.String()}}.Encode(), &list)
}
