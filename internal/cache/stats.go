package cache

import "github.com/prometheus/client_golang/prometheus"

// Stats says what the cache holds and what it did since it was opened.
type Stats struct {
	Bytes, Memory  int64 // on disk; of copies in memory
	Entries, Zones int

	Hits, Misses, Stored, Evicted, Expired int64
}

// Stats returns the numbers of this moment.
func (s *Store) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.stats
	st.Bytes, st.Memory, st.Entries, st.Zones = s.bytes, s.memory, s.entries, len(s.zones)
	return st
}

type collector struct {
	s                      *Store
	bytes, memory, entries *prometheus.Desc
	lookups, stored, ended *prometheus.Desc
}

// Collector returns the cache's metrics.
func (s *Store) Collector() prometheus.Collector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("selvage_cache_"+name, help, labels, nil)
	}
	return &collector{
		s:       s,
		bytes:   desc("bytes", "Disk that cached responses take, in bytes."),
		memory:  desc("memory_bytes", "Cached bodies that are in memory too, in bytes."),
		entries: desc("entries", "Cached responses."),
		lookups: desc("lookups_total", "Look-ups in the cache, by outcome.", "outcome"),
		stored:  desc("stored_total", "Responses that were put into the cache."),
		ended:   desc("removed_total", "Responses that left the cache other than by request, by cause.", "cause"),
	}
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.bytes, c.memory, c.entries, c.lookups, c.stored, c.ended} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	st := c.s.Stats()
	gauge := func(d *prometheus.Desc, v int64) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(v))
	}
	counter := func(d *prometheus.Desc, v int64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
	}
	gauge(c.bytes, st.Bytes)
	gauge(c.memory, st.Memory)
	gauge(c.entries, int64(st.Entries))
	counter(c.lookups, st.Hits, "hit")
	counter(c.lookups, st.Misses, "miss")
	counter(c.stored, st.Stored)
	counter(c.ended, st.Evicted, "evicted")
	counter(c.ended, st.Expired, "expired")
}
