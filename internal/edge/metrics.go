package edge

import (
	"runtime"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/selvage-dev/selvage/internal/edge/http1"
)

// bounds returns the upper ends of the duration histogram's buckets, in microseconds.
func bounds() [14]int64 {
	return [...]int64{100, 250, 500, 1000, 2500, 5000, 10_000, 25_000, 50_000, 100_000, 250_000, 1_000_000, 2_500_000, 10_000_000}
}

// counters are one shard of the edge's metrics: plain atomic adds, on cache lines
// that few cores share.
type counters struct {
	status         [6]atomic.Uint64 // by class; [0] those that no response was sent for
	buckets        [15]atomic.Uint64
	durationUS     atomic.Uint64
	bytesIn        atomic.Uint64
	bytesOut       atomic.Uint64
	assets         atomic.Uint64
	retries        atomic.Uint64
	rateLimited    atomic.Uint64
	upstreamErrors atomic.Uint64
	cookies        atomic.Uint64
	inFlight       atomic.Int64
	webSockets     atomic.Int64
	_              [64]byte
}

// observe counts a request that has ended.
func (c *counters) observe(status int, took time.Duration, in, out int64) {
	class := status / 100
	if class < 1 || class > 5 || status == 499 {
		class = 0
	}
	c.status[class].Add(1)
	us := took.Microseconds()
	i := 0
	for _, bound := range bounds() {
		if us <= bound {
			break
		}
		i++
	}
	c.buckets[i].Add(1)
	c.durationUS.Add(uint64(max(us, 0)))
	if in > 0 {
		c.bytesIn.Add(uint64(in))
	}
	if out > 0 {
		c.bytesOut.Add(uint64(out))
	}
}

// metrics is the sum of the shards as a [prometheus.Collector].
type metrics struct {
	http   *http1.Server
	shards []counters

	requests, duration, bytesIn, bytesOut, assets, retries, rateLimited, upstreamErrors,
	cookies, inFlight, webSockets, connections, refused *prometheus.Desc
}

func newMetrics(h *http1.Server) *metrics {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("selvage_edge_"+name, help, labels, nil)
	}
	shards := 1
	for shards < runtime.GOMAXPROCS(0) {
		shards *= 2
	}
	return &metrics{
		http:           h,
		shards:         make([]counters, shards),
		requests:       desc("requests_total", "Requests by class of the response's status; \"none\" when the client went away first.", "class"),
		duration:       desc("request_duration_seconds", "Time from the first byte of a request to the last of its response."),
		bytesIn:        desc("request_body_bytes_total", "Bytes of request bodies."),
		bytesOut:       desc("response_body_bytes_total", "Bytes of response bodies, WebSockets included."),
		assets:         desc("asset_requests_total", "Requests answered from static assets."),
		rateLimited:    desc("rate_limited_total", "Requests refused because their worker had too many in the minute."),
		retries:        desc("retries_total", "Times a request was sent to a worker again."),
		upstreamErrors: desc("worker_errors_total", "Requests that no worker answered."),
		cookies:        desc("dropped_cookies_total", "Cookies dropped because their domain is shared with other workers."),
		inFlight:       desc("requests_in_flight", "Requests being answered, WebSockets included."),
		webSockets:     desc("websockets_open", "WebSockets open."),
		connections:    desc("connections_open", "Client connections open."),
		refused:        desc("connections_refused_total", "Client connections refused because of a limit."),
	}
}

// shard returns the counters for the connection with a number.
func (m *metrics) shard(seq uint64) *counters {
	return &m.shards[seq%uint64(len(m.shards))]
}

// answered returns how many requests have ended.
func (m *metrics) answered() (n uint64) {
	for i := range m.shards {
		for j := range m.shards[i].status {
			n += m.shards[i].status[j].Load()
		}
	}
	return n
}

// Describe implements [prometheus.Collector].
func (m *metrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		m.requests, m.duration, m.bytesIn, m.bytesOut, m.assets, m.retries, m.rateLimited, m.upstreamErrors,
		m.cookies, m.inFlight, m.webSockets, m.connections, m.refused,
	} {
		ch <- d
	}
}

// Collect implements [prometheus.Collector].
func (m *metrics) Collect(ch chan<- prometheus.Metric) {
	count := func(d *prometheus.Desc, get func(*counters) uint64, labels ...string) {
		var sum uint64
		for i := range m.shards {
			sum += get(&m.shards[i])
		}
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(sum), labels...)
	}
	gauge := func(d *prometheus.Desc, get func(*counters) int64) {
		var sum int64
		for i := range m.shards {
			sum += get(&m.shards[i])
		}
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(sum))
	}
	for i, class := range []string{"none", "1xx", "2xx", "3xx", "4xx", "5xx"} {
		count(m.requests, func(c *counters) uint64 { return c.status[i].Load() }, class)
	}
	m.collectDuration(ch)
	count(m.bytesIn, func(c *counters) uint64 { return c.bytesIn.Load() })
	count(m.bytesOut, func(c *counters) uint64 { return c.bytesOut.Load() })
	count(m.assets, func(c *counters) uint64 { return c.assets.Load() })
	count(m.rateLimited, func(c *counters) uint64 { return c.rateLimited.Load() })
	count(m.retries, func(c *counters) uint64 { return c.retries.Load() })
	count(m.upstreamErrors, func(c *counters) uint64 { return c.upstreamErrors.Load() })
	count(m.cookies, func(c *counters) uint64 { return c.cookies.Load() })
	gauge(m.inFlight, func(c *counters) int64 { return c.inFlight.Load() })
	gauge(m.webSockets, func(c *counters) int64 { return c.webSockets.Load() })
	ch <- prometheus.MustNewConstMetric(m.connections, prometheus.GaugeValue, float64(m.http.Open()))
	ch <- prometheus.MustNewConstMetric(m.refused, prometheus.CounterValue, float64(m.http.Refused()))
}

func (m *metrics) collectDuration(ch chan<- prometheus.Metric) {
	ends := bounds()
	buckets := make(map[float64]uint64, len(ends))
	var total, us uint64
	for i := range ends {
		for j := range m.shards {
			total += m.shards[j].buckets[i].Load()
		}
		buckets[float64(ends[i])/1e6] = total
	}
	for j := range m.shards {
		total += m.shards[j].buckets[len(ends)].Load()
		us += m.shards[j].durationUS.Load()
	}
	ch <- prometheus.MustNewConstHistogram(m.duration, total, float64(us)/1e6, buckets)
}
