package upstream

import (
	"log/slog"
	"time"
)

const (
	tellEvery = 30 * time.Minute // that an outage still lasts
	maxCauses = 8                // told in one outage, each once
)

// outage decides what of a lasting failure is logged: a cause once, then now
// and then how often it failed, then that it is over. A link that comes and
// goes is one outage until a connection was stable.
type outage struct {
	log      *slog.Logger
	failures int
	since    time.Time
	told     time.Time       // when the last warning was
	causes   map[string]bool // told
	upTold   bool            // since the last warning
}

func (o *outage) failed(why, hint string, important bool) {
	now := time.Now()
	if o.failures++; o.failures == 1 {
		o.since, o.causes = now, map[string]bool{}
	}
	fresh := !o.causes[why] && (len(o.causes) < maxCauses || important)
	if !fresh && now.Sub(o.told) < tellEvery {
		return
	}
	o.causes[why] = true
	o.told, o.upTold = now, false
	o.log.Warn("uplink down", "err", why, "hint", hint, "failures", o.failures, "since", o.since.Format(time.RFC3339))
}

func (o *outage) up(endpoint string, kept bool) {
	if o.upTold {
		return
	}
	o.upTold = true
	o.log.Info("uplink up", "endpoint", endpoint, "session_kept", kept, "failures", o.failures)
}

// over ends the outage, if there is one, once its end was told.
func (o *outage) over() {
	o.failures = 0
}
