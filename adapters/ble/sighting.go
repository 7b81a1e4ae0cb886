package ble

import (
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"

	"edgeshadow/adapters/ble/advert"
)

// sighting is what is told of a device; key is that of the thing that it is.
func (d *sighting) sighting(thing string, key []byte) Sighting {
	out := Sighting{
		MAC: d.MAC.String(), Name: d.name, Thing: thing, Adapter: d.radio, RSSI: d.rssi, At: d.at, Adverts: d.adverts,
	}
	data := advert.Data{MAC: d.MAC, Services: d.services, Manufacturer: d.makers}
	known := map[string]bool{}
	for _, f := range advert.Decode(data, advert.Auto, key) {
		known[string(f.Raw)] = true
		frame := SeenFrame{Format: f.Format, Values: map[string]any{}, Text: advert.Describe(f.Values)}
		for _, v := range f.Values {
			frame.Values[v.Name] = v.Value
		}
		if f.Err != nil {
			frame.Err = f.Err.Error()
		}
		out.Frames = append(out.Frames, frame)
	}
	for _, uuid := range slices.Sorted(maps.Keys(d.services)) {
		if raw := d.services[uuid]; !known[string(raw)] {
			short := strings.TrimSuffix(strings.TrimPrefix(uuid, "0000"), "-0000-1000-8000-00805f9b34fb")
			out.Raw = append(out.Raw, SeenRecord{"service:" + short, hex.EncodeToString(raw)})
		}
	}
	for _, company := range slices.Sorted(maps.Keys(d.makers)) {
		if raw := d.makers[company]; !known[string(raw)] {
			out.Raw = append(out.Raw, SeenRecord{fmt.Sprintf("manufacturer:%04x", company), hex.EncodeToString(raw)})
		}
	}
	return out
}
