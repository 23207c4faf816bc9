package bindings

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// d1Outcome is how a call of a D1 binding ended, as a metric label.
type d1Outcome string

const (
	d1OK      d1Outcome = "ok"
	d1Refused d1Outcome = "refused" // the worker's fault
	d1Failed  d1Outcome = "failed"  // the platform's
)

// d1Metrics counts calls. Its series are looked up once: a look-up by label costs
// as much as a small query.
type d1Metrics struct {
	calls    *prometheus.CounterVec
	duration prometheus.Histogram
	counters map[d1Outcome]prometheus.Counter
}

func newD1Metrics() *d1Metrics {
	m := &d1Metrics{
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "selvage_d1_calls_total",
			Help: "Calls of workers to their D1 databases, a batch being one, by outcome.",
		}, []string{"outcome"}),
		duration: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "selvage_d1_call_duration_seconds",
			Help:    "How long calls of workers to their D1 databases took.",
			Buckets: []float64{0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5, 30},
		}),
		counters: make(map[d1Outcome]prometheus.Counter),
	}
	for _, o := range []d1Outcome{d1OK, d1Refused, d1Failed} {
		m.counters[o] = m.calls.WithLabelValues(string(o))
	}
	return m
}

func (m *d1Metrics) observe(o d1Outcome, took time.Duration) {
	m.counters[o].Inc()
	m.duration.Observe(took.Seconds())
}
