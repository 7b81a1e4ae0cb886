package console

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"

	"edgeshadow/adapters/modbus"
	"edgeshadow/localshadow/shadow"
)

// exchange has a bus do a tool's request between its own.
func (s *Server) exchange(w http.ResponseWriter, r *http.Request) {
	var request modbus.Request
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(&request); err != nil {
		refuse(w, &shadow.Error{Code: http.StatusBadRequest, Message: err.Error()})
		return
	}
	words, err := s.gateway.Exchange(r.Context(), r.PathValue("bus"), request)
	for code, kind := range exchangeErrors {
		if errors.Is(err, kind) {
			err = &shadow.Error{Code: code, Message: err.Error()}
		}
	}
	respond(w, words, err)
}

// exchangeErrors are what a tool tells apart, by the status that carries it.
var exchangeErrors = map[int]error{
	http.StatusBadRequest:     modbus.ErrRequest,
	http.StatusConflict:       modbus.ErrException,
	http.StatusGatewayTimeout: modbus.ErrTimeout,
}

// Exchange has the daemon's bus do a request: modbus.Bus.Exchange.
func (c *Client) Exchange(ctx context.Context, bus string, r modbus.Request) (words []uint16, err error) {
	payload, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	body, err := c.do(ctx, http.MethodPost, "/v1/buses/"+url.PathEscape(bus)+"/exchange", payload)
	var refused *shadow.Error
	if errors.As(err, &refused) && exchangeErrors[refused.Code] != nil {
		return nil, toldError{refused.Message, exchangeErrors[refused.Code]}
	}
	if err != nil {
		return nil, err
	}
	defer body.Close()
	return words, json.NewDecoder(body).Decode(&words)
}

// toldError is an error of the daemon in its own words.
type toldError struct {
	text string
	kind error
}

func (e toldError) Error() string { return e.text }
func (e toldError) Unwrap() error { return e.kind }
