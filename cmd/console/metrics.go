package console

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"edgeshadow/bridge/upstream"
)

// metrics renders the same numbers as Status for Prometheus.
func metrics(g Gateway) http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collector{g})
	registry.MustRegister(g.Timings().collectors()...)
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
}

// collector reads the numbers at each scrape.
type collector struct{ gateway Gateway }

func (collector) Describe(chan<- *prometheus.Desc) {} // unchecked: buses and things come and go

func (c collector) Collect(out chan<- prometheus.Metric) {
	s := c.gateway.Numbers()
	put := func(kind prometheus.ValueType, name, help string, v float64, labels ...string) {
		var names, values []string
		for i := 0; i+1 < len(labels); i += 2 {
			names, values = append(names, labels[i]), append(values, labels[i+1])
		}
		out <- prometheus.MustNewConstMetric(prometheus.NewDesc("edgeshadow_"+name, help, names, nil), kind, v, values...)
	}
	gauge := func(name, help string, v float64, labels ...string) {
		put(prometheus.GaugeValue, name, help, v, labels...)
	}
	counter := func(name, help string, v float64, labels ...string) {
		put(prometheus.CounterValue, name, help, v, labels...)
	}

	gauge("build_info", "1, with the version of the program.", 1, "version", s.Version)
	gauge("memory_bytes", "Resident memory.", float64(s.MemoryBytes))
	counter("starts_total", "Starts of the gateway with this store.", float64(s.Boot))
	gauge("start_time_seconds", "When the gateway started, Unix time.", float64(s.Since.Unix()))
	gauge("broker_clients", "Connected clients.", float64(s.Clients.Clients))
	counter("broker_messages_received_total", "Messages received from clients.", float64(s.Clients.Received))
	counter("broker_messages_sent_total", "Messages sent to clients.", float64(s.Clients.Sent))
	counter("broker_messages_dropped_total", "Messages that a client's full queue did not take.", float64(s.Clients.Dropped))
	counter("broker_received_bytes_total", "Bytes received from clients.", float64(s.Clients.BytesReceived))
	counter("broker_sent_bytes_total", "Bytes sent to clients.", float64(s.Clients.BytesSent))
	counter("broker_connections_refused_total", "Connections refused.", float64(s.Clients.Refused))
	counter("access_denied_total", "What clients asked for and may not.", float64(s.Access.Denied))
	gauge("store_size_bytes", "Size of the store's files.", float64(s.Store.Size))
	gauge("store_disk_free_bytes", "Free space of the store's file system.", float64(s.Store.DiskFree))
	gauge("store_disk_full", "1 while writes are refused for lack of space.", one(s.Store.DiskFull))
	gauge("store_queue", "Operations that wait for the store.", float64(s.Store.Queue))
	counter("store_operations_total", "Operations committed.", float64(s.Store.Operations))
	counter("readings_held_total", "Attempts to store readings while the disk was almost full.", float64(s.Held.Count))
	if u := s.Uplink; u != nil {
		gauge("uplink_up", "1 while the uplink is up.", one(u.State == upstream.Up))
		counter("uplink_connects_total", "Connections made.", float64(u.Connects))
		counter("uplink_received_bytes_total", "Bytes of MQTT received from the cloud.", float64(u.BytesIn))
		counter("uplink_sent_bytes_total", "Bytes of MQTT sent to the cloud.", float64(u.BytesOut))
		counter("uplink_messages_received_total", "Messages received from the cloud.", float64(u.MessagesIn))
		counter("uplink_messages_sent_total", "Messages that the cloud acknowledged.", float64(u.MessagesOut))
	}
	if s.Sync != nil {
		gauge("sync_shadows", "Shadows that are synced.", float64(s.Sync.Shadows))
		gauge("sync_unsynced_shadows", "Shadows that differ from the cloud.", float64(s.Sync.Dirty))
		counter("sync_gets_total", "Documents asked for.", float64(s.Sync.Gets))
		counter("sync_pushes_total", "Updates and deletes sent.", float64(s.Sync.Pushes))
		counter("sync_conflicts_total", "Values that both sides had changed.", float64(s.Sync.Conflicts))
	}
	if r := s.Relay; r != nil {
		counter("relay_received_messages_total", "Messages from the cloud.", float64(r.Received))
		counter("relay_stray_messages_total", "Messages from the cloud that no rule takes.", float64(r.Stray))
		for _, c := range r.Classes {
			gauge("relay_pending_messages", "Messages that the cloud has not acknowledged.", float64(c.Pending), "class", c.Class)
			gauge("relay_journal_bytes", "Size of a journal.", float64(c.Bytes), "class", c.Class)
			gauge("relay_journal_limit_bytes", "The most that a journal may have.", float64(c.Limit), "class", c.Class)
			counter("relay_taken_messages_total", "Messages taken from local clients.", float64(c.Taken), "class", c.Class)
			counter("relay_sent_messages_total", "Messages that the cloud acknowledged.", float64(c.Sent), "class", c.Class)
			for why, n := range c.Lost() {
				counter("relay_lost_messages_total", "Messages that were not, or will not be, sent.", float64(n), "class", c.Class, "why", why)
			}
		}
	}
	for _, t := range s.Things {
		if t.Online != nil {
			gauge("thing_online", "1 while a wired thing answers.", one(*t.Online), "thing", t.Name)
			gauge("thing_points_not_good", "Points of a thing whose last reading was not good.", float64(len(t.Quality)), "thing", t.Name)
		}
	}
	for _, b := range s.Buses {
		gauge("bus_connected", "1 while the bus is connected.", one(b.Connected), "bus", b.Bus)
		gauge("bus_utilisation_ratio", "Part of the last seconds that the bus was busy.", b.Utilisation, "bus", b.Bus)
		counter("bus_requests_total", "Requests sent.", float64(b.Requests), "bus", b.Bus)
		counter("bus_errors_total", "Requests without an answer of the device.", float64(b.Errors), "bus", b.Bus)
		counter("bus_exceptions_total", "Answers that were an exception.", float64(b.Exceptions), "bus", b.Bus)
		counter("bus_frames_total", "Messages that devices sent, where there are no requests.", float64(b.Frames), "bus", b.Bus)
		for _, r := range b.Radios {
			counter("radio_adverts_total", "Advertisements heard.", float64(r.Adverts), "radio", r.Name)
			gauge("radio_adverts_per_minute", "Advertisements heard a minute, in the last minutes.", r.PerMinute, "radio", r.Name)
			gauge("radio_listening", "1 while the radio listens.", one(r.Listens()), "radio", r.Name)
			counter("radio_recoveries_total", "Times that something was done to make the radio listen again.", float64(r.Restarts+r.PowerCycles), "radio", r.Name)
		}
	}
}

func one(is bool) float64 {
	if is {
		return 1
	}
	return 0
}
