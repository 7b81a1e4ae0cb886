package rest

import (
	"encoding/json"
	"mime"
	"strings"

	"edgeshadow/localshadow/access"
	"edgeshadow/localshadow/shadow"
)

var shadowActions = map[operation]string{
	getShadow:    access.ActionGetThingShadow,
	updateShadow: access.ActionUpdateThingShadow,
	deleteShadow: access.ActionDeleteThingShadow,
}

// shadow answers the three requests about one shadow (SHADOW 14).
func (a *API) shadow(c *call, token **string) ([]byte, error) {
	id := shadow.ID{Thing: c.name, Name: c.query.Get("name")}
	if c.query.Has("name") && id.Name == "" {
		return nil, invalid("Invalid shadow name")
	}
	if err := id.Check(); err != nil {
		return nil, invalid(err.Error())
	}
	resource := id.Thing
	if id.Name != "" {
		resource += "/" + id.Name
	}
	if !c.may(shadowActions[c.op], resource) {
		return nil, errForbidden
	}
	if !c.utf8() {
		return nil, shadow.ErrEncoding
	}
	body, err := c.body()
	if err != nil {
		return nil, err
	}
	*token = shadow.ParseToken(body)
	switch c.op {
	case getShadow:
		return a.Shadows.Get(c.Context(), id, body)
	case deleteShadow:
		return a.Shadows.Delete(c.Context(), id, body)
	default:
		return a.Shadows.Update(c.Context(), id, body)
	}
}

// utf8 tells whether the body claims to be what a document is.
func (c *call) utf8() bool {
	if e := c.Header.Get("content-encoding"); e != "" && !strings.EqualFold(e, "identity") {
		return false
	}
	_, params, err := mime.ParseMediaType(c.Header.Get("content-type"))
	charset := params["charset"]
	return err != nil || charset == "" || strings.EqualFold(charset, "utf-8") || strings.EqualFold(charset, "us-ascii")
}

// Pages of ListNamedShadowsForThing (SHADOW 13).
const (
	defaultPage = 25
	maxPage     = 100
)

func (a *API) listShadows(c *call) ([]byte, error) {
	if err := (shadow.ID{Thing: c.name}).Check(); err != nil {
		return nil, invalid(err.Error())
	}
	if !c.may(access.ActionListNamedShadowsForThing, c.name) {
		return nil, errForbidden
	}
	p, err := c.page("pageSize", defaultPage, maxPage)
	if err != nil {
		return nil, err
	}
	if p.after != "" && (shadow.ID{Thing: c.name, Name: p.after}).Check() != nil {
		return nil, errPage
	}
	names, err := a.Shadows.Names(c.name, p.after, p.size+1) // one more tells whether there are more
	if err != nil {
		return nil, err
	}
	answer := struct {
		Results   []string `json:"results"`
		NextToken string   `json:"nextToken,omitempty"`
		Timestamp int64    `json:"timestamp"`
	}{Results: []string{}, Timestamp: a.now().Unix()}
	if len(names) > p.size {
		names = names[:p.size]
		answer.NextToken = nextToken(names[p.size-1])
	}
	answer.Results = append(answer.Results, names...)
	return json.Marshal(answer)
}
