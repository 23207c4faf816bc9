package vectorize

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/selvage-dev/selvage/internal/store"
)

// folder holds the indexes, one folder each, below the data directory.
const folder = "vectorize"

// Options of [New]; zero fields take the defaults that are named.
type Options struct {
	Store   *store.Store
	Log     *slog.Logger
	Now     func() time.Time // time.Now
	Limits  Limits
	MaxOpen int // indexes that stay open without being used; 64
	// FlushRows and FlushBytes are how much of an index is kept in memory before it
	// becomes a segment, or what an upsert replaced counts too; 16,384 and 128 MiB.
	FlushRows  int
	FlushBytes int64
}

// Service owns all indexes. It is safe for concurrent use.
type Service struct {
	o   Options
	dir string

	mu     sync.Mutex
	closed bool
	open   map[uuid.UUID]*handle
	idle   list.List // handles that nobody uses, the one used last in front
	users  sync.WaitGroup
}

// handle is an index that is open or opening.
type handle struct {
	id    uuid.UUID
	ready chan struct{} // closed when index or err is set
	index *Index
	err   error
	uses  int           // under Service.mu, like the fields below
	spot  *list.Element // in Service.idle
	gone  bool          // deleted: closed by the last who uses it
	// closing is set while an idle index is closed, and closed after it.
	closing chan struct{}
}

// New returns the service. It opens no index.
func New(o Options) (*Service, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.MaxOpen == 0 {
		o.MaxOpen = 64
	}
	if o.FlushRows == 0 {
		o.FlushRows = 16 << 10
	}
	if o.FlushBytes == 0 {
		o.FlushBytes = 128 << 20
	}
	o.Limits.setDefaults()
	s := &Service{o: o, dir: filepath.Join(o.Store.Dir, folder), open: make(map[uuid.UUID]*handle)}
	if err := o.Store.FS.MkdirAll(s.dir, 0o700); err != nil {
		return nil, fmt.Errorf("vectorize: folder of the indexes: %w", err)
	}
	if err := s.removeOrphans(context.Background()); err != nil {
		return nil, err
	}
	return s, nil
}

// Limits returns the limits in force.
func (s *Service) Limits() Limits { return s.o.Limits }

// Close waits for those who use indexes and closes them.
func (s *Service) Close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.users.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for id, h := range s.open {
		delete(s.open, id)
		if h.index != nil {
			errs = append(errs, h.index.close())
		}
	}
	s.idle.Init()
	return errors.Join(errs...)
}

// Open returns the index of this name, opening it if need be. Who asks meanwhile
// waits for the same opening. The caller Releases it.
func (s *Service) Open(ctx context.Context, account, name string) (*Index, error) {
	info, err := s.Get(ctx, account, name)
	if err != nil {
		return nil, err
	}
	h, err := s.acquire(ctx, &info)
	if err != nil {
		return nil, err
	}
	select {
	case <-h.ready:
	case <-ctx.Done():
		s.unuse(h)
		return nil, fmt.Errorf("vectorize: open an index: %w", context.Cause(ctx))
	}
	if h.err != nil {
		s.unuse(h)
		return nil, corrupt(name, h.err)
	}
	return h.index, nil
}

// acquire counts one use of the index's handle, which it makes if need be.
func (s *Service) acquire(ctx context.Context, info *Info) (*handle, error) {
	for {
		s.mu.Lock()
		if s.closed {
			s.mu.Unlock()
			return nil, ErrClosed
		}
		h := s.open[info.ID]
		if h == nil {
			h = &handle{id: info.ID, ready: make(chan struct{})}
			s.open[info.ID] = h
			go s.openHandle(h, info.Name)
		}
		if h.closing == nil {
			h.uses++
			s.users.Add(1)
			if h.spot != nil {
				s.idle.Remove(h.spot)
				h.spot = nil
			}
			s.mu.Unlock()
			return h, nil
		}
		s.mu.Unlock()
		// Its files are still open: a second writer on them would be the end of both.
		select {
		case <-h.closing:
		case <-ctx.Done():
			return nil, fmt.Errorf("vectorize: open an index: %w", context.Cause(ctx))
		}
	}
}

func (s *Service) openHandle(h *handle, name string) {
	defer close(h.ready)
	x, err := openIndex(openOptions{
		name: name, id: h.id, dir: s.folderOf(h.id), fs: s.o.Store.FS, log: s.o.Log, limits: &s.o.Limits, now: s.o.Now, flush: flushSize{s.o.FlushRows, s.o.FlushBytes},
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.o.Log.Error("an index cannot be opened", "index", name, "id", h.id, "error", err)
		h.err = err
		if s.open[h.id] == h {
			delete(s.open, h.id)
		}
		return
	}
	x.release = func() { s.unuse(h) }
	h.index = x
}

// unuse ends one use. The last one leaves the index open for the next, within the
// bound.
func (s *Service) unuse(h *handle) {
	s.mu.Lock()
	h.uses--
	var victim *handle
	switch {
	case h.uses > 0 || h.err != nil:
	case h.gone:
		victim = h
	case s.open[h.id] == h:
		h.spot = s.idle.PushFront(h)
		if s.idle.Len() > s.o.MaxOpen {
			victim, _ = s.idle.Remove(s.idle.Back()).(*handle)
			victim.spot = nil
			victim.closing = make(chan struct{})
		}
	}
	s.mu.Unlock()
	if victim != nil {
		s.closeHandle(victim)
	}
	s.users.Done()
}

// closeHandle closes an index that nobody uses.
func (s *Service) closeHandle(h *handle) {
	<-h.ready
	if h.index != nil {
		if err := h.index.close(); err != nil {
			s.o.Log.Error("an index did not close", "index", h.id, "error", err)
		}
	}
	s.mu.Lock()
	gone := h.gone
	if s.open[h.id] == h {
		delete(s.open, h.id)
	}
	if h.closing != nil {
		close(h.closing)
	}
	s.mu.Unlock()
	if gone {
		s.removeFolder(h.id)
	}
}

// forget closes an index that was deleted and removes its files, at once or when
// the last one who uses it is done.
func (s *Service) forget(id uuid.UUID) {
	s.mu.Lock()
	h := s.open[id]
	if h != nil {
		delete(s.open, id) // no other index has this id
		h.gone = true
		if h.spot != nil {
			s.idle.Remove(h.spot)
			h.spot = nil
		}
	}
	inUse := h != nil && (h.uses > 0 || h.closing != nil)
	s.mu.Unlock()
	switch {
	case inUse: // the last one, or the one who closes it, removes it
	case h != nil:
		s.closeHandle(h)
	default:
		s.removeFolder(id)
	}
}
