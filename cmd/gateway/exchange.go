package gateway

import (
	"context"
	"net/http"

	"edgeshadow/adapters/modbus"
	"edgeshadow/localshadow/shadow"
)

// Exchange has a Modbus bus do a tool's request between its own.
func (g *Gateway) Exchange(ctx context.Context, name string, r modbus.Request) ([]uint16, error) {
	g.reloading.Lock()
	bus := g.drivers.buses[name]
	g.reloading.Unlock()
	if bus == nil {
		return nil, &shadow.Error{Code: http.StatusNotFound, Message: "no Modbus bus " + name}
	}
	return bus.Exchange(ctx, r)
}
