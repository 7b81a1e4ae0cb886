package gateway

import (
	"context"
	"net/http"
	"time"

	"edgeshadow/adapters/ble"
	"edgeshadow/adapters/serial"
	"edgeshadow/localshadow/shadow"
)

// Tap gives a tool what goes over a serial line; first nil, when it listens.
func (g *Gateway) Tap(ctx context.Context, port string, next func(*serial.Chunk) error) error {
	g.reloading.Lock()
	driver := g.drivers.ports[port]
	g.reloading.Unlock()
	if driver == nil {
		return &shadow.Error{Code: http.StatusNotFound, Message: "no thing is on port " + port}
	}
	if err := next(nil); err != nil {
		return err
	}
	return driver.Tap(ctx, func(c serial.Chunk) error { return next(&c) })
}

// Near has the Bluetooth adapters listen for so long and lists what is near.
func (g *Gateway) Near(ctx context.Context, long time.Duration) ([]ble.Sighting, error) {
	g.reloading.Lock()
	radio := g.drivers.radio
	g.reloading.Unlock()
	if radio == nil {
		return nil, &shadow.Error{Code: http.StatusNotFound, Message: "no thing is a Bluetooth device"}
	}
	return radio.Near(ctx, long), nil
}
