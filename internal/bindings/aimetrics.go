package bindings

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// aiMetrics counts calls of AI bindings.
type aiMetrics struct {
	calls    *prometheus.CounterVec
	duration *prometheus.HistogramVec
}

func newAIMetrics() *aiMetrics {
	return &aiMetrics{
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "selvage_ai_calls_total",
			Help: "Calls of workers to their AI bindings, by operation and outcome.",
		}, []string{"operation", "outcome"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "selvage_ai_call_duration_seconds",
			Help:    "How long calls of workers to their AI bindings took until the answer was out, by operation.",
			Buckets: []float64{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300},
		}, []string{"operation"}),
	}
}

func (m *aiMetrics) observe(operation, outcome string, took time.Duration) {
	m.calls.WithLabelValues(operation, outcome).Inc()
	m.duration.WithLabelValues(operation).Observe(took.Seconds())
}
