package bindings

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// vectorMetrics counts calls of vectorize bindings.
type vectorMetrics struct {
	calls    *prometheus.CounterVec
	duration *prometheus.HistogramVec
}

func newVectorMetrics() *vectorMetrics {
	return &vectorMetrics{
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "selvage_vectorize_calls_total",
			Help: "Calls of workers to their vector indexes, by operation and outcome.",
		}, []string{"operation", "outcome"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "selvage_vectorize_call_duration_seconds",
			Help:    "How long calls of workers to their vector indexes took, by operation.",
			Buckets: []float64{0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5, 30},
		}, []string{"operation"}),
	}
}

func (m *vectorMetrics) observe(operation, outcome string, took time.Duration) {
	m.calls.WithLabelValues(operation, outcome).Inc()
	m.duration.WithLabelValues(operation).Observe(took.Seconds())
}
