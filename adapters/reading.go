package adapters

import (
	"context"
	"strconv"
	"strings"
	"time"
)

// Quality says what a Reading is worth.
type Quality string

const (
	Good    Quality = "good"
	Clamped Quality = "clamped" // what was desired lay outside min and max; the bound was written
	Stale   Quality = "stale"   // no reading for longer than the thing's offline_after
	Timeout Quality = "timeout" // the device, or the way to it, did not answer
	Bad     Quality = "bad"     // the device answered what is no value of the point's type (NaN, no text)
)

// Exception is the quality of a reading that the device refused with a Modbus
// exception code.
func Exception(code byte) Quality { return Quality("exception(" + strconv.Itoa(int(code)) + ")") }

// HasValue says whether a reading of this quality carries a value.
func (q Quality) HasValue() bool { return q == Good || q == Clamped }

// Answered says whether the device itself was heard.
func (q Quality) Answered() bool {
	switch {
	case q == Good, q == Clamped, q == Bad:
		return true
	case q == Exception(10), q == Exception(11): // a converter speaks of a device that it can't reach
		return false
	}
	return strings.HasPrefix(string(q), "exception(")
}

// Reading is what a driver learned of one point.
type Reading struct {
	Thing, Shadow string // the classic shadow is ""
	Path          string // of the point: dots go down into objects
	Value         any    // bool, string or json.Number; nil unless Quality.HasValue
	Quality       Quality
	Time          time.Time
}

// Command is one value that a device is to hold.
type Command struct {
	Thing, Path string
	Value       any // as Driver.Fit gave it
	// ReadFirst has the driver look before it writes: what the device holds
	// already is not written.
	ReadFirst bool
}

// Driver owns one bus: a Modbus line or host, a serial line, a radio.
type Driver interface {
	// Run polls until ctx ends and emits what it reads. Any other return is a
	// failure: the Supervisor calls it again after a while. emit does not block.
	Run(ctx context.Context, emit func(...Reading)) error
	// Fit is what a point would read after value was written to it: rounded to
	// what its registers hold. The error says why it can't be written.
	Fit(thing, path string, value any) (any, error)
	// Write writes, before anything else on the bus, reads back and returns
	// what it read. It fails with *RefusedError when the device says no, and
	// with anything else when it is not known to have heard. It may be called
	// while Run does not run, and fails then.
	Write(ctx context.Context, c Command) (Reading, error)
	// Stats is what the bus did since the start.
	Stats() BusStats
}

// RefusedError is a device's no.
type RefusedError struct {
	Reason string
	// Lasting says that the same write is refused again.
	Lasting bool
}

func (e *RefusedError) Error() string { return "refused: " + e.Reason }

// BusStats is what operators want to know of a bus.
type BusStats struct {
	Bus        string `json:"bus"`
	Type       string `json:"type"`
	Address    string `json:"address"`
	Connected  bool   `json:"connected"`
	Sessions   uint64 `json:"sessions"` // connections made, all there were
	Requests   uint64 `json:"requests"`
	Errors     uint64 `json:"errors"`     // requests without an answer of the device
	Exceptions uint64 `json:"exceptions"` // answers that were a no
	Skipped    uint64 `json:"skipped"`    // polls left out because the bus was late
	Discarded  uint64 `json:"discarded"`  // answers that came too late
	// Frames are the messages that devices sent unasked and asked, where there
	// are no requests to count; SkippedBytes belonged to none.
	Frames       uint64      `json:"frames,omitempty"`
	SkippedBytes uint64      `json:"skipped_bytes,omitempty"`
	Radios       []Radio     `json:"radios,omitempty"`
	Utilisation  float64     `json:"utilisation"` // part of the last seconds that the bus was busy, 0 to 1
	Units        []UnitStats `json:"units"`
	Err          string      `json:"error,omitempty"` // the last that went wrong with the link, until it is back
	// BusySince is when the driver began what it is at; nil: it waits. Each step
	// has a timeout: a driver that is long at one is stuck.
	BusySince *time.Time `json:"busy_since,omitempty"`
}

// Radio is what operators want to know of a Bluetooth adapter.
type Radio struct {
	Name    string `json:"name"` // hci0
	Address string `json:"address"`
	// State is passive or active while the adapter listens, and else why not.
	State     string  `json:"state"`
	PerMinute float64 `json:"adverts_per_minute"` // in the last minutes
	Adverts   uint64  `json:"adverts"`
	// Restarts, PowerCycles and Lost count what was done, or happened, to make
	// it listen again: discovery, the adapter, bluetoothd.
	Restarts    uint64 `json:"restarts"`
	PowerCycles uint64 `json:"power_cycles"`
	Lost        uint64 `json:"lost"`
}

// Listens says whether the adapter listens.
func (r Radio) Listens() bool { return r.State == "active" || r.State == "passive" }

// UnitStats is what operators want to know of a device on a bus.
type UnitStats struct {
	Unit     int    `json:"unit"`
	Breaker  string `json:"breaker"` // closed: polled as configured; open: given up on, probed now and then
	Requests uint64 `json:"requests"`
	Errors   uint64 `json:"errors"`
}
