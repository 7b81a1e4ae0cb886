package console

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"

	"edgeshadow/bridge"
	"edgeshadow/localshadow/shadow"
)

// ErrUnreachable is a daemon that does not answer on the socket.
var ErrUnreachable = errors.New("the daemon can't be reached")

// Client talks to the API of a daemon on this machine.
type Client struct {
	socket string
	http   *http.Client
}

// NewClient makes a client for a socket.
func NewClient(socket string) *Client {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}
	return &Client{socket: socket, http: &http.Client{Transport: &http.Transport{DialContext: dial}}}
}

// Status asks for the whole gateway.
func (c *Client) Status(ctx context.Context) (s Status, err error) {
	return s, c.json(ctx, "/v1/status", &s)
}

// Things lists the things.
func (c *Client) Things(ctx context.Context) (t []Thing, err error) {
	return t, c.json(ctx, "/v1/things", &t)
}

// SyncStatus asks how each shadow stands to the cloud.
func (c *Client) SyncStatus(ctx context.Context) (s []bridge.ShadowStatus, err error) {
	return s, c.json(ctx, "/v1/sync", &s)
}

// Decisions reads the journal of a shadow, or of all when id is nil.
func (c *Client) Decisions(ctx context.Context, id *shadow.ID) (d []bridge.Decision, err error) {
	path := "/v1/sync/log"
	if id != nil {
		path += "?" + url.Values{"thing": {id.Thing}, "name": {id.Name}}.Encode()
	}
	return d, c.json(ctx, path, &d)
}

// Reload has the daemon read its configuration again.
func (c *Client) Reload(ctx context.Context) (r Reloaded, err error) {
	body, err := c.do(ctx, http.MethodPost, "/v1/reload", nil)
	if err != nil {
		return r, err
	}
	defer body.Close()
	return r, json.NewDecoder(body).Decode(&r)
}

// Shadows lists a thing's shadows.
func (c *Client) Shadows(ctx context.Context, thing string) (s []Shadow, err error) {
	return s, c.json(ctx, "/v1/things/"+url.PathEscape(thing)+"/shadows", &s)
}

// Get, Update and Delete return the body as on the wire, or a *shadow.Error.
func (c *Client) Get(ctx context.Context, id shadow.ID) ([]byte, error) {
	return c.shadow(ctx, http.MethodGet, id, nil)
}

// Update sends a request document.
func (c *Client) Update(ctx context.Context, id shadow.ID, payload []byte) ([]byte, error) {
	return c.shadow(ctx, http.MethodPost, id, payload)
}

// Delete deletes a shadow.
func (c *Client) Delete(ctx context.Context, id shadow.ID) ([]byte, error) {
	return c.shadow(ctx, http.MethodDelete, id, nil)
}

// Watch calls fn with each line until ctx ends or the daemon does.
func (c *Client) Watch(ctx context.Context, id shadow.ID, fn func(Watched) error) error {
	body, err := c.do(ctx, http.MethodGet, "/v1/things/"+url.PathEscape(id.Thing)+"/watch?"+url.Values{"name": {id.Name}}.Encode(), nil)
	if err != nil {
		return err
	}
	defer body.Close()
	lines := bufio.NewScanner(body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var w Watched
		if err := json.Unmarshal(lines.Bytes(), &w); err != nil {
			return err
		}
		if err := fn(w); err != nil {
			return err
		}
	}
	if ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("%w: it ended the watch", ErrUnreachable)
}

func (c *Client) shadow(ctx context.Context, method string, id shadow.ID, payload []byte) ([]byte, error) {
	body, err := c.do(ctx, method, "/v1/things/"+url.PathEscape(id.Thing)+"/shadow?"+url.Values{"name": {id.Name}}.Encode(), payload)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	return io.ReadAll(body)
}

func (c *Client) json(ctx context.Context, path string, into any) error {
	return c.ask(ctx, http.MethodGet, path, into)
}

func (c *Client) ask(ctx context.Context, method, path string, into any) error {
	body, err := c.do(ctx, method, path, nil)
	if err != nil {
		return err
	}
	defer body.Close()
	return json.NewDecoder(body).Decode(into)
}

// do sends a request and returns the body of a good answer.
func (c *Client) do(ctx context.Context, method, path string, payload []byte) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://edgeshadow"+path, bytes.NewReader(payload))
	if err != nil {
		return nil, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, fmt.Errorf("%w at %s: %w", ErrUnreachable, c.socket, errors.Unwrap(err))
	}
	if resp.StatusCode == http.StatusOK {
		return resp.Body, nil
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
	if err != nil {
		return nil, err
	}
	e, _, err := shadow.ParseRejected(text)
	if err != nil {
		return nil, fmt.Errorf("the daemon answers %s", resp.Status)
	}
	return nil, e
}
