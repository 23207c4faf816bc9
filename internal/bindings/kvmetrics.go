package bindings

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// kvOp is what a worker asked of a namespace, as a metric label.
type kvOp string

const (
	kvGet     kvOp = "get"
	kvPut     kvOp = "put"
	kvDelete  kvOp = "delete"
	kvList    kvOp = "list"
	kvBulkGet kvOp = "bulk_get"
)

// kvOutcome is how it ended, as a metric label.
type kvOutcome string

const (
	kvOK      kvOutcome = "ok"
	kvMiss    kvOutcome = "miss"    // a get of a key that is not there
	kvRefused kvOutcome = "refused" // the worker's fault
	kvFailed  kvOutcome = "failed"  // the platform's
)

// kvMetrics counts operations. Its series are looked up once: a look-up by label
// costs as much as a cached get.
type kvMetrics struct {
	operations *prometheus.CounterVec
	duration   *prometheus.HistogramVec

	counters  map[kvSeries]prometheus.Counter
	durations map[kvOp]prometheus.Observer
}

type kvSeries struct {
	op      kvOp
	outcome kvOutcome
}

func newKVMetrics() *kvMetrics {
	m := &kvMetrics{
		operations: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "selvage_kv_operations_total",
			Help: "Operations of workers on their KV namespaces, by operation and outcome.",
		}, []string{"operation", "outcome"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "selvage_kv_operation_duration_seconds",
			Help:    "How long operations of workers on their KV namespaces took, by operation.",
			Buckets: []float64{0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5},
		}, []string{"operation"}),
		counters:  make(map[kvSeries]prometheus.Counter),
		durations: make(map[kvOp]prometheus.Observer),
	}
	for _, op := range []kvOp{kvGet, kvPut, kvDelete, kvList, kvBulkGet} {
		m.durations[op] = m.duration.WithLabelValues(string(op))
		for _, outcome := range []kvOutcome{kvOK, kvMiss, kvRefused, kvFailed} {
			if outcome == kvMiss && op != kvGet {
				continue
			}
			m.counters[kvSeries{op, outcome}] = m.operations.WithLabelValues(string(op), string(outcome))
		}
	}
	return m
}

func (m *kvMetrics) observe(op kvOp, outcome kvOutcome, took time.Duration) {
	m.counters[kvSeries{op, outcome}].Inc()
	m.durations[op].Observe(took.Seconds())
}
