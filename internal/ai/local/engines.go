// Package local runs models inside this process. A model is opened when it is first
// asked for and closed when nobody has asked for a while, or when others need its memory.
//
// Invariants:
//
//   - A model that somebody uses is not closed.
//   - Who asks while a model opens waits for that opening.
//   - Open models together take no more memory than the bound, but for one: a model that
//     alone takes more still runs, by itself.
package local

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/selvage-dev/selvage/internal/infer"
)

// ErrClosed is the error of every call after Close.
var ErrClosed = errors.New("local: closed")

// Engine is an open model.
type Engine interface{ Close() error }

// Open opens the model in a folder and says how many bytes its weights take.
type Open func(dir string) (e Engine, weights int64, err error)

// Encoder is a model that makes vectors, classes or scores.
type Encoder interface {
	Info() infer.Info
	Embed(ctx context.Context, texts []string, p infer.Pooling) (vectors [][]float32, tokens int, err error)
	Classify(ctx context.Context, texts []string) (scores [][]float32, tokens int, err error)
	Rerank(ctx context.Context, query string, texts []string) (scores []float32, tokens int, err error)
	Close() error
}

// Options of [New].
type Options struct {
	Log *slog.Logger
	// Idle is how long a model stays open without being asked.
	Idle time.Duration
	// Memory bounds the weights of all open models, in bytes.
	Memory int64
}

// Engines holds the open models. It is safe for concurrent use.
type Engines struct {
	o Options

	mu     sync.Mutex
	closed bool
	open   map[string]*handle // by folder
	uses   sync.WaitGroup
}

type handle struct {
	dir   string
	open  Open
	ready chan struct{} // closed when engine or err is set
	// The rest is under Engines.mu, but for those who wait for ready.
	engine Engine
	err    error
	size   int64
	uses   int
	used   time.Time
	timer  *time.Timer
}

// New returns engines without a model.
func New(o Options) *Engines { return &Engines{o: o, open: make(map[string]*handle)} }

// Use opens the model in dir, if need be, and calls fn with it.
func (e *Engines) Use(ctx context.Context, dir string, open Open, fn func(Engine) error) error {
	h, err := e.acquire(dir, open)
	if err != nil {
		return err
	}
	defer e.release(h)
	select {
	case <-h.ready:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if h.err != nil {
		return h.err
	}
	return fn(h.engine)
}

func (e *Engines) acquire(dir string, open Open) (*handle, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil, ErrClosed
	}
	h := e.open[dir]
	if h == nil {
		h = &handle{dir: dir, open: open, ready: make(chan struct{})}
		e.open[dir] = h
		h.uses++ // that of load
		e.uses.Add(1)
		go e.load(h)
	}
	h.uses++
	e.uses.Add(1)
	if h.timer != nil {
		h.timer.Stop()
	}
	return h, nil
}

func (e *Engines) load(h *handle) {
	defer e.release(h)
	began := time.Now()
	engine, weights, err := h.open(h.dir)
	e.mu.Lock()
	h.engine, h.err = engine, err
	if err != nil {
		delete(e.open, h.dir) // the next one tries again
	} else {
		h.size = weights
	}
	victims := e.squeeze()
	e.mu.Unlock()
	close(h.ready)
	if err == nil {
		e.o.Log.Info("a model was loaded", "folder", h.dir, "bytes", h.size, "precision", precision(engine), "duration_ms", time.Since(began).Milliseconds())
	}
	e.end(victims)
}

// precision is how the weights of an encoder are kept; those of a decoder are in its files.
func precision(e Engine) string {
	if encoder, ok := e.(Encoder); ok {
		return encoder.Info().Precision
	}
	return "as in its files"
}

// squeeze takes out models that nobody uses, the one used longest ago first, until the
// rest fits.
func (e *Engines) squeeze() []*handle {
	var total int64
	for _, h := range e.open {
		total += h.size
	}
	var out []*handle
	for total > e.o.Memory {
		var oldest *handle
		for _, h := range e.open {
			if h.uses == 0 && h.engine != nil && (oldest == nil || h.used.Before(oldest.used)) {
				oldest = h
			}
		}
		if oldest == nil {
			break
		}
		total -= oldest.size
		delete(e.open, oldest.dir)
		out = append(out, oldest)
	}
	return out
}

func (e *Engines) release(h *handle) {
	e.mu.Lock()
	h.uses--
	h.used = time.Now()
	idle := h.uses == 0 && e.open[h.dir] == h
	gone := h.uses == 0 && e.open[h.dir] != h && h.engine != nil
	if idle {
		h.timer = time.AfterFunc(e.o.Idle, func() { e.expire(h) })
	}
	e.mu.Unlock()
	if gone {
		e.end([]*handle{h})
	}
	e.uses.Done()
}

// expire closes a model that has not been asked for a while.
func (e *Engines) expire(h *handle) {
	e.mu.Lock()
	mine := e.open[h.dir] == h && h.uses == 0 && time.Since(h.used) >= e.o.Idle && !e.closed
	if mine {
		delete(e.open, h.dir)
	}
	e.mu.Unlock()
	if mine {
		e.end([]*handle{h})
	}
}

// Forget closes the model in dir, at once or when the last one who uses it is done.
func (e *Engines) Forget(dir string) {
	e.mu.Lock()
	h := e.open[dir]
	delete(e.open, dir)
	unused := h != nil && h.uses == 0
	e.mu.Unlock()
	if unused {
		e.end([]*handle{h})
	}
}

// end closes models that were taken out.
func (e *Engines) end(handles []*handle) {
	for _, h := range handles {
		if h.timer != nil {
			h.timer.Stop()
		}
		if err := h.engine.Close(); err != nil {
			e.o.Log.Error("a model did not close", "folder", h.dir, "error", err)
			continue
		}
		e.o.Log.Info("a model was unloaded", "folder", h.dir, "bytes", h.size)
	}
}

// Loaded says how many models are open, and what their weights take.
func (e *Engines) Loaded() (models int, bytes int64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, h := range e.open {
		if h.engine != nil {
			models++
			bytes += h.size
		}
	}
	return models, bytes
}

// Close waits for those who use models and closes all.
func (e *Engines) Close() {
	e.mu.Lock()
	e.closed = true
	e.mu.Unlock()
	e.uses.Wait()
	e.mu.Lock()
	var all []*handle
	for dir, h := range e.open {
		delete(e.open, dir)
		all = append(all, h)
	}
	e.mu.Unlock()
	e.end(all)
}
