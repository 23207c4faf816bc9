package insights

import (
	"sync/atomic"
	"time"
)

// Statement counts the runs of one statement of one database. It is safe for
// concurrent use.
type Statement struct {
	id     uint64
	text   string
	sample string
	writes bool

	gone atomic.Bool  // evicted: nobody takes its counts any more
	used atomic.Int64 // when it ran last, in ns

	runs, micros, read, written, returned atomic.Uint64
	durations                             [Buckets]atomic.Uint32
}

// Gone reports whether the statement gave way to others: ask [Recorder.Statement]
// again.
func (s *Statement) Gone() bool { return s.gone.Load() }

// Text is the statement's normal form.
func (s *Statement) Text() string { return s.text }

// Record counts a run that began at start and took d.
func (s *Statement) Record(start time.Time, d time.Duration, read, written, returned int64) {
	us := uint64(max(d.Microseconds(), 0))
	s.used.Store(start.UnixNano())
	s.runs.Add(1)
	s.micros.Add(us)
	s.durations[bucketOf(us)].Add(1)
	if read > 0 {
		s.read.Add(uint64(read))
	}
	if written > 0 {
		s.written.Add(uint64(written))
	}
	if returned > 0 {
		s.returned.Add(uint64(returned))
	}
}

// Counts are what a statement did in some time.
type Counts struct {
	Runs, Micros, RowsRead, RowsWritten, RowsReturned uint64
	Durations                                         Histogram
}

// Add adds o.
func (c *Counts) Add(o *Counts) {
	c.Runs += o.Runs
	c.Micros += o.Micros
	c.RowsRead += o.RowsRead
	c.RowsWritten += o.RowsWritten
	c.RowsReturned += o.RowsReturned
	for i, n := range o.Durations {
		c.Durations[i] += n
	}
}

// take returns what was counted since the last time and begins anew. A run that
// is counted meanwhile is in this part or in the next, some of its numbers perhaps
// in the other.
func (s *Statement) take() (c Counts) {
	c.Runs, c.Micros = s.runs.Swap(0), s.micros.Swap(0)
	c.RowsRead, c.RowsWritten, c.RowsReturned = s.read.Swap(0), s.written.Swap(0), s.returned.Swap(0)
	for i := range s.durations {
		if s.durations[i].Load() != 0 {
			c.Durations[i] = s.durations[i].Swap(0)
		}
	}
	return c
}
