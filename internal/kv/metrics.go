package kv

import "github.com/prometheus/client_golang/prometheus"

type collector struct {
	s *Service

	open, cached, hits, misses *prometheus.Desc
}

// Collector returns the metrics of the service, to be registered once.
func (s *Service) Collector() prometheus.Collector {
	desc := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc("selvage_kv_"+name, help, nil, nil)
	}
	return &collector{
		s:      s,
		open:   desc("open_namespaces", "KV namespaces whose database is open."),
		cached: desc("cache_bytes", "Memory of the KV values that are kept because they are read often."),
		hits:   desc("cache_hits_total", "Reads of a key that the cache answered."),
		misses: desc("cache_misses_total", "Reads of a key that the database answered."),
	}
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.open, c.cached, c.hits, c.misses} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	c.s.mu.Lock()
	open := c.s.open
	c.s.mu.Unlock()
	var bytes, hits, misses int64
	for i := range c.s.cache.shards {
		shard := &c.s.cache.shards[i]
		shard.mu.Lock()
		bytes, hits, misses = bytes+shard.bytes, hits+shard.hits, misses+shard.misses
		shard.mu.Unlock()
	}
	ch <- prometheus.MustNewConstMetric(c.open, prometheus.GaugeValue, float64(open))
	ch <- prometheus.MustNewConstMetric(c.cached, prometheus.GaugeValue, float64(bytes))
	ch <- prometheus.MustNewConstMetric(c.hits, prometheus.CounterValue, float64(hits))
	ch <- prometheus.MustNewConstMetric(c.misses, prometheus.CounterValue, float64(misses))
}
