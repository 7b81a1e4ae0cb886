package bridge

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"time"

	"edgeshadow/localshadow"
)

// Meter counts what the connection costs.
type Meter interface {
	// Bytes are those that went both ways since the start.
	Bytes() int64
}

// Budget is what the connection may cost in a day; 0: as much as it likes.
type Budget struct {
	BytesPerDay int64 // of MQTT, both ways
	OpsPerDay   int64 // requests of the reconciler
}

// Validate tells every fault; paths are below the section.
func (b Budget) Validate() []error {
	var faults []error
	if b.BytesPerDay < 0 || b.BytesPerDay > 0 && b.BytesPerDay < 64<<10 {
		faults = append(faults, &FieldError{"per_day", "too small for an idle connection; want 64KiB at least"})
	}
	if b.OpsPerDay < 0 {
		faults = append(faults, &FieldError{"shadow_ops_per_day", "less than none"})
	}
	return faults
}

// A day is the last 24 slots. They are of time that the daemon ran: no clock is
// asked, so a daemon that was off goes on where it was.
const (
	slotLength  = time.Hour
	slots       = 24
	keepEvery   = 10 * time.Minute
	freelyUntil = 0.5 // of the budget; from there on the windows widen
	scarceFrom  = 0.8 // no comparisons from there on
	widest      = 15 * time.Minute
	budgetKey   = "y/budget"
)

// ledger counts what was spent.
type ledger struct {
	limit Budget
	store *localshadow.Store
	spend

	slot    time.Time // when the current one began
	kept    time.Time
	counted int64 // of the meter, that is in spend
}

// spend is by slots, the current one first.
type spend struct {
	Bytes [slots]int64 `json:"bytes"`
	Ops   [slots]int64 `json:"ops"`
}

func openLedger(limit Budget, store *localshadow.Store, now time.Time) (ledger, error) {
	l := ledger{limit: limit, store: store, slot: now, kept: now}
	err := store.View(func(r localshadow.Reader) error {
		data, err := r.Get([]byte(budgetKey))
		if errors.Is(err, localshadow.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		_ = json.Unmarshal(data, &l.spend) // damaged: a day begins
		return nil
	})
	return l, err
}

func (l *ledger) spent(ops int64) { l.Ops[0] += ops }

// turn counts bytes, moves the slots on and stores them now and then.
func (l *ledger) turn(r *Reconciler, now time.Time) {
	if r.meter != nil {
		if total := r.meter.Bytes(); total > l.counted {
			l.Bytes[0] += total - l.counted
			l.counted = total
		}
	}
	for now.Sub(l.slot) >= slotLength {
		copy(l.Bytes[1:], l.Bytes[:slots-1])
		copy(l.Ops[1:], l.Ops[:slots-1])
		l.Bytes[0], l.Ops[0] = 0, 0
		l.slot = l.slot.Add(slotLength)
	}
	if l.limit == (Budget{}) || now.Sub(l.kept) < keepEvery {
		return
	}
	l.kept = now
	l.save(r.ctx)
}

// save stores what was spent, without a wait: a kill loses the last minutes of it.
func (l *ledger) save(ctx context.Context) {
	data, err := json.Marshal(l.spend)
	if err != nil {
		return
	}
	l.store.Submit(ctx, func(tx *localshadow.Tx) error { return tx.Set([]byte(budgetKey), data) }, func(error) {})
}

// used is the part of the budget that the last day took: 1 is all of it.
func (l *ledger) used() float64 {
	part := func(spent [slots]int64, limit int64) float64 {
		if limit == 0 {
			return 0
		}
		return float64(sum(spent)) / float64(limit)
	}
	return max(part(l.Bytes, l.limit.BytesPerDay), part(l.Ops, l.limit.OpsPerDay))
}

// window is the least time between two pushes of a shadow whose own is least:
// it doubles with each twentieth of the budget beyond the half.
func (l *ledger) window(least time.Duration) time.Duration {
	over := l.used() - freelyUntil
	if over <= 0 {
		return least
	}
	return max(least, min(time.Duration(float64(least)*math.Exp2(20*min(over, 1))), widest))
}

// scarce tells whether what can wait must wait.
func (l *ledger) scarce() bool { return l.used() >= scarceFrom }

func sum(spent [slots]int64) (total int64) {
	for _, n := range spent {
		total += n
	}
	return total
}

// BudgetStatus is what the last day cost, and what a day costs that goes on
// like the last hours.
type BudgetStatus struct {
	BytesPerDay   int64   `json:"bytes_per_day,omitempty"` // the limits; 0: none
	OpsPerDay     int64   `json:"shadow_ops_per_day,omitempty"`
	Bytes         int64   `json:"bytes"`
	Ops           int64   `json:"shadow_ops"`
	BytesForecast int64   `json:"bytes_forecast"`
	OpsForecast   int64   `json:"shadow_ops_forecast"`
	Used          float64 `json:"used"`                // part of the budget; 1 is all
	Window        float64 `json:"push_window_seconds"` // the least time between two pushes of a shadow
}

// forecastSlots are the hours that a forecast looks back on.
const forecastSlots = 2

func (l *ledger) status(now time.Time) BudgetStatus {
	hours := (forecastSlots-1)*slotLength + now.Sub(l.slot)
	forecast := func(spent [slots]int64) int64 {
		var recent int64
		for _, n := range spent[:forecastSlots] {
			recent += n
		}
		return int64(float64(recent) * float64(slots*slotLength) / float64(max(hours, slotLength)))
	}
	return BudgetStatus{
		BytesPerDay: l.limit.BytesPerDay, OpsPerDay: l.limit.OpsPerDay,
		Bytes: sum(l.Bytes), Ops: sum(l.Ops), BytesForecast: forecast(l.Bytes), OpsForecast: forecast(l.Ops),
		Used: l.used(), Window: l.window(pushInterval).Seconds(),
	}
}
