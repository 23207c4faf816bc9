package workers

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/selvage-dev/selvage/internal/telemetry"
)

// counters are what happened to processes since the service was opened.
type counters struct {
	starts, failedStarts, crashes atomic.Int64
	// Runs of scheduled handlers, by outcome.
	runsOK, runsException, runsOther atomic.Int64
	exceededCPU, exceededMemory      atomic.Int64
}

func (c *counters) ran(outcome string) {
	switch outcome {
	case telemetry.OutcomeOK:
		c.runsOK.Add(1)
	case telemetry.OutcomeException:
		c.runsException.Add(1)
	default:
		c.runsOther.Add(1)
	}
}

// processMetrics describes the worker processes to Prometheus. Those of one
// version (a draining one and its successor) are one series.
type processMetrics struct {
	s *Service

	processes, starts, crashes, runs  *prometheus.Desc
	exceeded                          *prometheus.Desc
	resident, cpu, requests, inFlight *prometheus.Desc
}

// Collector returns the metrics of the worker processes, to be registered once.
func (s *Service) Collector() prometheus.Collector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("selvage_worker_"+name, help, labels, nil)
	}
	return &processMetrics{
		s:         s,
		processes: desc("processes", "Worker processes that run."),
		starts:    desc("process_starts_total", "Starts of worker processes, by result.", "result"),
		crashes:   desc("process_crashes_total", "Worker processes that ended unasked."),
		exceeded:  desc("limits_exceeded_total", "Worker processes ended by a limit, by limit.", "limit"),
		runs:      desc("scheduled_runs_total", "Runs of scheduled handlers, by outcome.", "outcome"),
		resident:  desc("resident_memory_bytes", "Resident memory of a version's processes.", "script", "version"),
		cpu:       desc("cpu_seconds", "Processor time that a version's running processes have used.", "script", "version"),
		requests:  desc("requests", "Requests that a version's running processes have taken.", "script", "version"),
		inFlight:  desc("requests_in_flight", "Requests in flight in a version's processes.", "script", "version"),
	}
}

// Describe implements prometheus.Collector.
func (m *processMetrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{m.processes, m.starts, m.crashes, m.exceeded, m.runs, m.resident, m.cpu, m.requests, m.inFlight} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (m *processMetrics) Collect(ch chan<- prometheus.Metric) {
	send := func(d *prometheus.Desc, t prometheus.ValueType, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, t, v, labels...)
	}
	instances := m.s.Instances()
	send(m.processes, prometheus.GaugeValue, float64(len(instances)))
	send(m.starts, prometheus.CounterValue, float64(m.s.count.starts.Load()), "ready")
	send(m.starts, prometheus.CounterValue, float64(m.s.count.failedStarts.Load()), "failed")
	send(m.crashes, prometheus.CounterValue, float64(m.s.count.crashes.Load()))

	send(m.exceeded, prometheus.CounterValue, float64(m.s.count.exceededCPU.Load()), "cpu")
	send(m.exceeded, prometheus.CounterValue, float64(m.s.count.exceededMemory.Load()), "memory")
	send(m.runs, prometheus.CounterValue, float64(m.s.count.runsOK.Load()), "ok")
	send(m.runs, prometheus.CounterValue, float64(m.s.count.runsException.Load()), "exception")
	send(m.runs, prometheus.CounterValue, float64(m.s.count.runsOther.Load()), "other")

	for i := 0; i < len(instances); { // sorted by script and version
		sum := instances[i]
		for i++; i < len(instances) && instances[i].Version == sum.Version; i++ {
			sum.RSS += instances[i].RSS
			sum.CPU += instances[i].CPU
			sum.Requests += instances[i].Requests
			sum.InFlight += instances[i].InFlight
		}
		send(m.resident, prometheus.GaugeValue, float64(sum.RSS), sum.Script, sum.Version)
		send(m.cpu, prometheus.GaugeValue, sum.CPU.Seconds(), sum.Script, sum.Version)
		send(m.requests, prometheus.GaugeValue, float64(sum.Requests), sum.Script, sum.Version)
		send(m.inFlight, prometheus.GaugeValue, float64(sum.InFlight), sum.Script, sum.Version)
	}
}
