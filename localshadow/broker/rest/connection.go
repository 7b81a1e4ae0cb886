package rest

import (
	"strconv"

	"edgeshadow/localshadow/access"
)

// closeConnection disconnects a client (SHADOW 19).
func (a *API) closeConnection(c *call) ([]byte, error) {
	var clean, noWill bool
	for name, flag := range map[string]*bool{"cleanSession": &clean, "preventWillMessage": &noWill} {
		if s := c.query.Get(name); s != "" {
			var err error
			if *flag, err = strconv.ParseBool(s); err != nil {
				return nil, invalid("Invalid " + name + "; want true or false")
			}
		}
	}
	if !c.may(access.ActionDeleteConnection, c.name) {
		return nil, errForbidden
	}
	if !a.Broker.Evict(c.name, clean, noWill) {
		return nil, errClient
	}
	return nil, nil
}
