package ai

import (
	"context"
	"errors"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
)

// meter counts what runs. Names of models and of callers are in the ledger, not here: a
// metric's labels must be few.
type meter struct {
	s *Service

	runs, tokens                     *prometheus.CounterVec
	running, waiting, loaded, weight *prometheus.Desc
}

func newMeter(s *Service) *meter {
	desc := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc("selvage_ai_"+name, help, []string{"engine"}, nil)
	}
	return &meter{
		s: s,
		runs: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "selvage_ai_runs_total", Help: "Runs of models that have ended, by outcome: ok, refused, failed, or left by who asked.",
		}, []string{"outcome"}),
		tokens: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "selvage_ai_tokens_total", Help: "Tokens that models read (in) and wrote (out).",
		}, []string{"direction"}),
		running: desc("running", "Runs that an engine works on now: of models of this process, and of servers behind it."),
		waiting: desc("waiting", "Runs that wait for their turn."),
		loaded:  prometheus.NewDesc("selvage_ai_loaded_models", "Models that are in memory.", nil, nil),
		weight:  prometheus.NewDesc("selvage_ai_loaded_bytes", "What the weights of models in memory take.", nil, nil),
	}
}

// Collector returns the metrics of the service, to be registered once.
func (s *Service) Collector() prometheus.Collector { return s.meter }

// Describe implements prometheus.Collector.
func (m *meter) Describe(ch chan<- *prometheus.Desc) {
	m.runs.Describe(ch)
	m.tokens.Describe(ch)
	for _, d := range []*prometheus.Desc{m.running, m.waiting, m.loaded, m.weight} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (m *meter) Collect(ch chan<- prometheus.Metric) {
	m.runs.Collect(ch)
	m.tokens.Collect(ch)
	gauge := func(d *prometheus.Desc, n float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, n, labels...)
	}
	var running, waiting int
	m.s.mu.Lock()
	for _, q := range m.s.queues {
		r, w := q.Load()
		running, waiting = running+r, waiting+w
	}
	m.s.mu.Unlock()
	gauge(m.running, float64(running), "process")
	gauge(m.waiting, float64(waiting), "process")
	running, waiting = 0, 0
	for _, u := range m.s.upstreams {
		r, w := u.queue.Load()
		running, waiting = running+r, waiting+w
	}
	gauge(m.running, float64(running), "server")
	gauge(m.waiting, float64(waiting), "server")
	models, bytes := m.s.engines.Loaded()
	gauge(m.loaded, float64(models))
	gauge(m.weight, float64(bytes))
}

// ended counts a run.
func (m *meter) ended(ctx context.Context, in, out int, err error) {
	outcome := "ok"
	public, isPublic := errors.AsType[*Error](err)
	switch {
	case err == nil:
	case ctx.Err() != nil:
		outcome = "left"
	case isPublic && public.Status() < http.StatusInternalServerError:
		outcome = "refused"
	default:
		outcome = "failed"
	}
	m.runs.WithLabelValues(outcome).Inc()
	m.tokens.WithLabelValues("in").Add(float64(in))
	m.tokens.WithLabelValues("out").Add(float64(out))
}
