package bindings

import "github.com/prometheus/client_golang/prometheus"

// kind is what an outbound request is, as a metric label.
type kind string

const (
	kindFetch     kind = "fetch"
	kindWebSocket kind = "websocket"
	kindConnect   kind = "connect"
	kindLocal     kind = "local"
)

type metrics struct {
	egress   *prometheus.CounterVec
	inFlight prometheus.Gauge
	assets   *prometheus.CounterVec
	kv       *kvMetrics
	d1       *d1Metrics
	vectors  *vectorMetrics
	ai       *aiMetrics
}

func newMetrics() *metrics {
	return &metrics{
		egress: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "selvage_egress_requests_total",
			Help: "Outbound requests of workers that have ended, by kind and outcome.",
		}, []string{"kind", "outcome"}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "selvage_egress_in_flight",
			Help: "Outbound requests and tunnels of workers that are open now.",
		}),
		assets: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "selvage_assets_binding_requests_total",
			Help: "Requests of workers to their assets binding, by class of the status code.",
		}, []string{"class"}),
		kv: newKVMetrics(),
		d1: newD1Metrics(), vectors: newVectorMetrics(), ai: newAIMetrics(),
	}
}

func (m *metrics) Describe(ch chan<- *prometheus.Desc) {
	m.egress.Describe(ch)
	m.inFlight.Describe(ch)
	m.assets.Describe(ch)
	m.kv.operations.Describe(ch)
	m.kv.duration.Describe(ch)
	m.d1.calls.Describe(ch)
	m.d1.duration.Describe(ch)
	m.vectors.calls.Describe(ch)
	m.vectors.duration.Describe(ch)
	m.ai.calls.Describe(ch)
	m.ai.duration.Describe(ch)
}

func (m *metrics) Collect(ch chan<- prometheus.Metric) {
	m.egress.Collect(ch)
	m.inFlight.Collect(ch)
	m.assets.Collect(ch)
	m.kv.operations.Collect(ch)
	m.kv.duration.Collect(ch)
	m.d1.calls.Collect(ch)
	m.d1.duration.Collect(ch)
	m.vectors.calls.Collect(ch)
	m.vectors.duration.Collect(ch)
	m.ai.calls.Collect(ch)
	m.ai.duration.Collect(ch)
}
