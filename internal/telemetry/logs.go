package telemetry

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Sizes of the buffer between Append and the disk, and how long an event may
// stay in it.
const (
	bufferBytes   = 1 << 20  // events are dropped beyond it
	flushBytes    = 64 << 10 // written at once beyond it
	flushInterval = 100 * time.Millisecond
	pruneInterval = time.Hour
	complainEvery = time.Minute
)

// Defaults of LogOptions.
const (
	DefaultMaxBytes     = 512 << 20
	DefaultMaxAge       = 7 * 24 * time.Hour
	DefaultSegmentBytes = 16 << 20
	minSegmentBytes     = 64 << 10
)

// ErrLogsClosed is returned by readers of a log that is closed.
var ErrLogsClosed = errors.New("the event log is closed")

// LogOptions configure OpenLogs; zero values take the defaults.
type LogOptions struct {
	MaxBytes     int64         // of all segments together
	MaxAge       time.Duration // of a segment's newest event
	SegmentBytes int64         // at most a quarter of MaxBytes
	Log          *slog.Logger  // told of write errors and drops; must not lead back through Handler
	Registerer   prometheus.Registerer
}

func (o *LogOptions) normalise() {
	if o.MaxBytes <= 0 {
		o.MaxBytes = DefaultMaxBytes
	}
	if o.MaxAge <= 0 {
		o.MaxAge = DefaultMaxAge
	}
	if o.SegmentBytes <= 0 {
		o.SegmentBytes = DefaultSegmentBytes
	}
	o.SegmentBytes = max(min(o.SegmentBytes, o.MaxBytes/4), minSegmentBytes)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
}

// Logs is the event log: JSON lines in numbered segments in one folder, whose
// oldest segments are removed as size and age demand. It is safe for concurrent
// use.
//
// Events are handed to the system at most 100 ms after Append, so they survive
// the platform's death, but are fsynced only at the end of a segment: a power
// loss may cost the last seconds.
type Logs struct {
	log *slog.Logger

	mu      sync.Mutex // the hot path's lock: only memory is touched under it
	enc     encoder
	buf     []byte
	spare   []byte
	drops   uint64 // since the last flush
	closed  bool
	wake    chan struct{} // buf is not empty any more
	full    chan struct{} // buf has reached flushBytes
	syncs   chan chan struct{}
	stop    chan struct{}
	stopped chan struct{}

	files segments // written by the flusher only

	appended, dropped prometheus.Counter
	failures          prometheus.Counter
	complained        time.Time // flusher only
}

// OpenLogs opens the event log in dir, creating the folder, and starts writing
// it. Close ends that.
func OpenLogs(dir string, o LogOptions) (*Logs, error) {
	o.normalise()
	l := &Logs{
		log:     o.Log,
		buf:     make([]byte, 0, bufferBytes+maxLine),
		spare:   make([]byte, 0, bufferBytes+maxLine),
		wake:    make(chan struct{}, 1),
		full:    make(chan struct{}, 1),
		syncs:   make(chan chan struct{}),
		stop:    make(chan struct{}),
		stopped: make(chan struct{}),
		appended: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "selvage_log_events_total", Help: "Events taken into the event log.",
		}),
		dropped: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "selvage_log_events_dropped_total", Help: "Events lost because the buffer was full or the disk refused them.",
		}),
		failures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "selvage_log_write_failures_total", Help: "Batches of events the disk refused.",
		}),
	}
	if err := l.files.open(dir, o); err != nil {
		return nil, err
	}
	if o.Registerer != nil {
		size := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "selvage_log_size_bytes", Help: "Bytes the event log takes on disk.",
		}, func() float64 { return float64(l.files.size()) })
		for _, c := range []prometheus.Collector{l.appended, l.dropped, l.failures, size} {
			if err := o.Registerer.Register(c); err != nil {
				return nil, errors.Join(err, l.files.close())
			}
		}
	}
	go l.run()
	return l, nil
}

// Append adds e to the log. It copies e, never waits for the disk and does not
// allocate. When the buffer is full, or the log closed, the event is counted as
// dropped.
func (l *Logs) Append(e *Event) {
	l.mu.Lock()
	if l.closed || len(l.buf) >= bufferBytes {
		l.drops++
		l.mu.Unlock()
		l.dropped.Inc()
		return
	}
	before := len(l.buf)
	l.buf = l.enc.append(l.buf, e)
	after := len(l.buf)
	l.mu.Unlock()
	l.appended.Inc()
	if before == 0 {
		signal(l.wake)
	}
	if before < flushBytes && after >= flushBytes {
		signal(l.full)
	}
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Sync writes what was appended before the call and returns when readers see it.
func (l *Logs) Sync(ctx context.Context) error {
	done := make(chan struct{})
	select {
	case l.syncs <- done:
	case <-l.stop:
		return ErrLogsClosed
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// SetBounds changes the bounds of a running log; zero values take the defaults.
func (l *Logs) SetBounds(maxBytes int64, maxAge time.Duration) {
	o := LogOptions{MaxBytes: maxBytes, MaxAge: maxAge}
	o.normalise()
	l.files.setBounds(o)
}

// Close writes what is buffered and ends followers with ErrLogsClosed.
func (l *Logs) Close() error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil
	}
	l.closed = true
	l.mu.Unlock()
	close(l.stop)
	<-l.stopped
	return l.files.close()
}

// run is the only goroutine that writes files.
func (l *Logs) run() {
	defer close(l.stopped)
	prune := time.NewTicker(pruneInterval)
	defer prune.Stop()
	delay := time.NewTimer(0)
	<-delay.C
	defer delay.Stop()
	for {
		waiting := false
		select {
		case <-l.wake:
			waiting = true
			delay.Reset(flushInterval)
		case <-prune.C:
			if err := l.files.prune(); err != nil {
				l.complain("prune the event log", err)
			}
		case done := <-l.syncs:
			l.flush()
			close(done)
		case <-l.stop:
			l.flush()
			return
		}
		if !waiting {
			continue
		}
		select {
		case <-delay.C:
			l.flush()
		case <-l.full:
			l.flush()
		case done := <-l.syncs:
			l.flush()
			close(done)
		case <-l.stop:
			l.flush()
			return
		}
		delay.Stop()
	}
}

// flush writes the buffer to the current segment.
func (l *Logs) flush() {
	l.mu.Lock()
	batch := l.buf
	l.buf, l.spare = l.spare[:0], nil
	drops := l.drops
	l.drops = 0
	// A stale token would only cut the next wait short.
	select {
	case <-l.full:
	default:
	}
	l.mu.Unlock()

	if drops > 0 {
		batch = appendDrops(batch, drops)
		l.complain("event log drops events", droppedError{drops})
	}
	if len(batch) > 0 {
		if err := l.files.write(batch); err != nil {
			l.failures.Inc()
			l.dropped.Add(float64(countLines(batch)))
			l.complain("write the event log", err)
		}
	}

	l.mu.Lock()
	l.spare = batch[:0]
	l.mu.Unlock()
}

func appendDrops(batch []byte, drops uint64) []byte {
	var enc encoder
	return enc.append(batch, &Event{
		Time: time.Now(), Kind: KindPlatform, Level: LevelWarn,
		Message: strconv.FormatUint(drops, 10) + " events were dropped because they came faster than the disk takes them",
	})
}

// droppedError says how many events were lost.
type droppedError struct{ count uint64 }

func (e droppedError) Error() string { return strconv.FormatUint(e.count, 10) + " events dropped" }

// complain logs err, at most once a minute: a full disk fails every flush.
func (l *Logs) complain(operation string, err error) {
	now := time.Now()
	if !l.complained.IsZero() && now.Sub(l.complained) < complainEvery {
		return
	}
	l.complained = now
	l.log.Warn("event log in trouble", "operation", operation, "error", err)
}

func countLines(batch []byte) int {
	n := 0
	for _, ch := range batch {
		if ch == '\n' {
			n++
		}
	}
	return n
}
