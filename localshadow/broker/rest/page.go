package rest

import (
	"encoding/base64"
	"strconv"
)

var errPage = invalid("Invalid nextToken")

// page is which part of a list a request asks for.
type page struct {
	after string // the last name of the page before; empty: the first page
	size  int
}

func (c *call) page(parameter string, otherwise, most int) (page, error) {
	p := page{size: otherwise}
	if s := c.query.Get(parameter); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 || n > most {
			return page{}, invalid("Invalid " + parameter + "; want 1 to " + strconv.Itoa(most))
		}
		p.size = n
	}
	if s := c.query.Get("nextToken"); s != "" {
		after, err := base64.RawURLEncoding.DecodeString(s)
		if err != nil || len(after) == 0 {
			return page{}, errPage
		}
		p.after = string(after)
	}
	return p, nil
}

// nextToken means nothing to clients.
func nextToken(last string) string { return base64.RawURLEncoding.EncodeToString([]byte(last)) }
