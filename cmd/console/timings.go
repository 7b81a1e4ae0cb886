package console

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Timings are how long things took, as histograms.
type Timings struct {
	Update    Timing // a shadow request, from its arrival to its answer
	Commit    Timing // a commit of the store, with its fsync
	RoundTrip Timing // a message to the cloud, to its acknowledgement
	Poll      Timing // a request on a bus, to its answer
}

// Timing is one of them.
type Timing struct{ histogram prometheus.Histogram }

// Observe counts one duration.
func (t Timing) Observe(took time.Duration) { t.histogram.Observe(took.Seconds()) }

// NewTimings makes empty ones.
func NewTimings() *Timings {
	timing := func(name, help string, first float64) Timing {
		return Timing{prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: "edgeshadow", Name: name, Help: help,
			Buckets: prometheus.ExponentialBuckets(first, 2.5, 12),
		})}
	}
	return &Timings{
		Update:    timing("update_duration_seconds", "Time from a shadow request to its answer.", 0.0002),
		Commit:    timing("store_commit_duration_seconds", "Time of a commit of the store, with its fsync.", 0.0002),
		RoundTrip: timing("uplink_round_trip_seconds", "Time from a message to the cloud to its acknowledgement.", 0.001),
		Poll:      timing("bus_request_duration_seconds", "Time from a request on a bus to its answer.", 0.001),
	}
}

func (t *Timings) collectors() []prometheus.Collector {
	return []prometheus.Collector{t.Update.histogram, t.Commit.histogram, t.RoundTrip.histogram, t.Poll.histogram}
}
