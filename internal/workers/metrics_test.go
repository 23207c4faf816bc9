package workers_test

import (
	"testing"
	"testing/synctest"

	"github.com/prometheus/client_golang/prometheus"
)

func TestProcessMetrics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t, t.TempDir(), nil)
		defer h.end()
		registry := prometheus.NewPedanticRegistry()
		registry.MustRegister(h.Collector())
		h.put("w1", "export default 0")
		for range 2 {
			if _, err := h.serve(h.host("w1")); err != nil {
				t.Fatal(err)
			}
			for _, p := range h.runtime.live() {
				p.end(true)
			}
			synctest.Wait()
		}
		if got := gather(t, registry); got["selvage_worker_process_crashes_total"] != 2 || got["selvage_worker_process_starts_total"] != 2 || got["selvage_worker_processes"] != 0 {
			t.Errorf("after two deaths: %v", got)
		}
		if _, err := h.serve(h.host("w1")); err != nil {
			t.Fatal(err)
		}
		if got := gather(t, registry); got["selvage_worker_processes"] != 1 || got["selvage_worker_requests"] != 1 {
			t.Errorf("with a process: %v", got)
		}
	})
}

// gather returns the sum of each metric's samples.
func gather(t *testing.T, g prometheus.Gatherer) map[string]float64 {
	t.Helper()
	families, err := g.Gather()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			out[f.GetName()] += m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	return out
}
