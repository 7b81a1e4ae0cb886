package doctor

import (
	"context"
	"fmt"
	"time"

	"edgeshadow/adapters"
	"edgeshadow/adapters/ble"
)

// listen is how long the doctor listens for Bluetooth devices.
const listen = 5 * time.Second

const bluezHint = "is BlueZ there? apt install bluez; systemctl status bluetooth; rfkill list; and is the daemon's user in the group bluetooth?"

// bluetooth looks whether there is a radio that hears something, when the
// configuration needs one. Of a running daemon the radio is asked for.
func (d *Doctor) bluetooth(ctx context.Context) {
	things := d.cfg.Things.BLE()
	if len(things) == 0 {
		return
	}
	if d.status != nil {
		for _, b := range d.status.Buses {
			if b.Type == ble.DriverName {
				d.radios(b)
				return
			}
		}
	}
	driver, err := ble.New(things, nil)
	if err != nil {
		d.say("bluetooth", Fail, err.Error(), "")
		return
	}
	ctx, cancel := context.WithTimeout(ctx, listen)
	defer cancel()
	if err := driver.Run(ctx, func(...adapters.Reading) {}); err != nil {
		d.say("bluetooth", Fail, err.Error(), bluezHint)
		return
	}
	d.radios(driver.Stats())
}

func (d *Doctor) radios(s adapters.BusStats) {
	switch {
	case s.Err != "":
		d.say("bluetooth", Fail, s.Err, bluezHint)
	case len(s.Radios) == 0:
		d.say("bluetooth", Fail, "no Bluetooth adapter", bluezHint)
	}
	for _, r := range s.Radios {
		text := fmt.Sprintf("%s, %d advertisements heard", r.State, r.Adverts)
		if r.Adverts == 0 {
			d.say("bluetooth "+r.Name, Warn, text, "are devices near, and is the antenna free? edgeshadow ble scan")
			continue
		}
		d.say("bluetooth "+r.Name, OK, text, "")
	}
}
